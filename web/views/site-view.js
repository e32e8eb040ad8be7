/* One site: is it well, until when, what happens next by itself, what must I do.
 *
 *   siteView(page, {path, load, name}): load(signal) gives the site object; path for the band; name: of a
 *     site that may be made only now */
import {h} from '../h.js';
import {get, post, put, segment} from '../api.js';
import {lifeline} from '../lifeline.js';
import {DAY, now, time, words} from '../time.js';
import {ask, band, button, columns, facts, isLocked, link, locked, menu, mono, noPermission, notice, section} from '../parts.js';
import {field} from '../form.js';
import {certificateSection} from './certificate.js';
import {disable, remove, revoke} from './danger.js';
import {errand, failedSection} from './failed.js';
import {historySection} from './history.js';
import {upstreamHint} from './shared.js';
import {recommended, siteSettings} from './settings.js';
import {STAGES, isRunning, runningFor, sayStep, stageOf, stepsPicture, stepsShort} from './steps.js';

const holds = c => Boolean(c?.not_after);
const ends = c => ['disabled', 'retired'].includes(c?.state) || (c?.state === 'revoked' && !c.next_renewal);
const isWaiting = c => c?.state === 'working' && Boolean(c.next_renewal);
const diagnosis = site => `#/diagnosis/${encodeURIComponent(site.name)}`;
const configure = site => `#/lets-encrypt/configure?name=${encodeURIComponent(site.name)}`;
/* A clock that stands before the certificate's begin cannot be right. */
const clockIsWrong = c => holds(c) && now() < Date.parse(c.not_before) - DAY;
const sentence = text => text ? text[0].toUpperCase() + text.slice(1) : null;
const nothing = {label: 'For you to do', value: 'Nothing'};

function minutes(ms) {
	const s = Math.floor(ms / 1000);
	return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

/* Readouts */

function seenLines(c) {
	return [c.served_at ? h('span', {}, 'Handshake ', time(c.served_at, 'near')) : 'No handshake yet',
		c.seen_from_outside ? h('span', {}, 'Visitor from outside ', time(c.seen_from_outside, 'near')) : 'No visitor from outside yet'];
}

function stateReadout(site) {
	const c = site.certificate, read = (lamp, value, ...lines) => ({label: 'State', state: lamp, value, lines});
	if (!c && site.fallback)
		return read('off', 'No certificate', 'For other names there is a self-made one.');
	if (!c)
		return read('temporary', 'Temporary certificate', 'Self-made: browsers warn of it.');
	if (clockIsWrong(c))
		return read('unknown', 'Cannot see', "This server's clock is wrong.");
	if (c.state === 'expired')
		return read('problem', 'Expired', 'Visitors see a certificate error.');
	if (c.revoked)
		return read('problem', 'Revoked', h('span', {}, 'By the CA, ', time(c.revoked, 'near')), c.served === 'stored' ? 'It is still served: browsers may refuse it.' : null);
	if (c.served && c.served !== 'stored' && c.state !== 'failed')
		return read(site.state, 'Served differs', ...seenLines(c).slice(0, 1), 'See below');
	if (c.state === 'failed' && holds(c))
		return read(site.state, 'Renewal failed', `${c.failures} attempt${c.failures === 1 ? '' : 's'}. ${c.served === 'stored' ? 'Visitors see no error:' : c.served ?? ''}`,
			c.served === 'stored' ? h('span', {}, 'handshake ', time(c.served_at, 'near'), ' OK') : null);
	if (c.state === 'failed')
		return read(site.state, 'Registration failed', 'The temporary certificate is served:', 'browsers warn of it.');
	if (c.state === 'disabled')
		return read('off', 'Disabled', ...(holds(c) ? seenLines(c) : []));
	if (c.state === 'temporary')
		return read('temporary', 'Temporary certificate', 'Self-made: browsers warn of it.');
	if (site.state === 'unknown')
		return read('unknown', 'Cannot see', 'No handshake has shown yet what is served.');
	if (site.state === 'off')
		return read('off', 'Off', c.reason ? `Nothing renews it: ${c.reason}.` : null);
	return read(site.state, site.state === 'ok' ? 'OK, served now' : 'Served now', ...seenLines(c));
}

function expiryReadout(c, never = false) {
	if (!holds(c))
		return {label: 'Expires', value: never ? 'Never' : 'No certificate yet'};
	const over = Date.parse(c.not_after) <= now();
	return {label: over ? 'Expired' : 'Expires', value: time(c.not_after, 'relative'), lines: [words(c.not_after)]};
}

/* What its CA suggests, and the page on which it says why. */
function suggestion(c) {
	const {end, start, explanation} = c.window ?? {};
	return !end ? [] : [`It suggests ${words(start)} to ${words(end)}`,
		explanation ? link('The CA says why', explanation, {target: '_blank', rel: 'noreferrer'}) : null];
}

function nextReadout(site) {
	const c = site.certificate;
	if (c?.next_renewal)
		return {label: c.failures ? 'Next try, by itself' : 'Renews by itself', value: time(c.next_renewal, 'relative'),
			lines: [words(c.next_renewal), ...c.failures ? [] : [sentence(c.reason), ...suggestion(c)]]};
	if (c?.state === 'working')
		return {label: 'Renews by itself', value: 'Now', lines: [sentence(c.reason)]};
	return {label: 'Renews by itself', value: 'Never', lines: [sentence(c?.reason) ?? (site.fallback ? 'It has no name of its own' : 'It is not registered')]};
}

function toDo(site) {
	const c = site.certificate, todo = (value, ...lines) => ({label: 'For you to do', value, lines});
	if (clockIsWrong(c))
		return todo('Set the clock', 'of this server; see below');
	if (c?.revoked)
		return ends(c) ? todo('Register', link('It brings a new certificate', configure(site))) : todo('Renew now', 'It brings a new certificate');
	if (site.fallback && !c)
		return todo('Nothing', 'Each name is registered by itself');
	if (!c || c.state === 'temporary')
		return c?.reason ? todo('Nothing') : todo('Register', link('It takes a minute', configure(site)));
	if (c.failures && c.last_error) {
		const given = errand(c.last_error);
		return c.state === 'expired' && given.value === 'Nothing' ? todo('Try again', 'It also tries by itself') : {label: 'For you to do', ...given};
	}
	if (c.served && c.served !== 'stored')
		return todo('Diagnose', link('Something in front answers', diagnosis(site)));
	if (c.state === 'disabled')
		return todo('Nothing', link('Register again', configure(site)));
	const advice = recommended(site);
	return todo('Nothing', advice ? h('span', {}, 'Recommended: ', link(advice, '#hsts', {onclick: event => {
		event.preventDefault();
		const target = document.querySelector(advice.startsWith('HSTS') ? '#hsts' : '#force-ssl');
		target?.scrollIntoView({block: 'center'});
		target?.querySelector('input, button')?.focus({preventScroll: true});
	}})) : null);
}

function readouts(site, task) {
	const c = site.certificate;
	if (isWaiting(c))
		return [{label: 'State', state: 'working', value: 'Waiting', lines: [sentence(c.reason)]}, expiryReadout(c),
			{label: 'Goes on by itself', value: time(c.next_renewal, 'relative'), lines: [words(c.next_renewal)]}, nothing];
	if (task)
		return [{label: 'State', state: 'working', value: taskWord(task.Task), lines: [`Step ${stageOf(task.Steps)} of ${STAGES}`]},
			{label: 'Running', value: minutes(runningFor(task.Task))},
			holds(c) ? expiryReadout(c) : {label: 'Next, by itself', value: 'HTTPS', lines: ['as soon as the certificate is there']},
			{...nothing, lines: ['It goes on if you close this page']}];
	return [stateReadout(site), expiryReadout(c, site.fallback), nextReadout(site), toDo(site)];
}

export const taskWord = task => task.State === 'Queued' ? 'Queued'
	: {ConfigureLetsEncrypt: 'Registering', RenewLetsEncrypt: 'Renewing', RevokeLetsEncrypt: 'Revoking'}[task.Name] ?? 'Working';

/* Picture */

function failedSince(tasks) {
	const list = [];
	for (const task of tasks) {
		if (task.FinishedSuccessfully)
			break;
		if (task.State === 'Failed')
			list.push(task.StartTime ?? task.QueueTime);
	}
	return list;
}

export function lifeOf(c, tasks) {
	const attempts = c.failures ? failedSince(tasks) : [];
	return {issued: c.not_before, expires: c.not_after, renewal: c.failures ? null : c.next_renewal,
		due: c.failures ? attempts.at(-1) ?? c.last_error?.at ?? null : null, attempts, next: c.failures ? c.next_renewal : null};
}

function implausibleClock(c) {
	return clockIsWrong(c)
		? notice('warning', `This server's clock says ${words(now())}, before the certificate was issued (${words(c.not_before)}). Set the clock; until then nothing here can be judged.`) : null;
}

export function siteView(page, {path, load, name = null}) {
	const data = {site: null, tasks: [], audit: [], task: null, failed: null, problem: null};
	const settings = siteSettings(page, draw, site => { data.site = site; draw(); more(); });
	let asked = 0, leaving = false, heard = 0;

	/* What was heard meanwhile is newer than the answer, or will be followed by what is. */
	async function reload() {
		const before = heard;
		await page.load('the site', load, site => {
			if (heard === before)
				data.site = site;
			draw();
		});
		if (data.site)
			await more();
	}

	/* History and steps; what cannot be had leaves its place empty, the rest stands. */
	async function more() {
		const {site} = data, c = site.certificate, round = ++asked;
		const ask = (where, query) => get(where, query, page.signal).catch(error => {
			if (!error.sentence)
				throw error;
			return null;
		});
		const [tasks, audit] = await Promise.all([
			c ? ask('tasks', {about: c.id, limit: 20}) : null, ask('audit', {subject: site.name, limit: 12})]);
		const list = tasks?.Items ?? [];
		const running = list.find(isRunning), failed = c?.failures ? list.find(t => t.State === 'Failed') : null;
		const [task, last] = await Promise.all([running && ask(`tasks/${segment(running.Id)}/details`), failed && ask(`tasks/${segment(failed.Id)}/details`)]);
		if (round !== asked)
			return;
		Object.assign(data, {tasks: list, audit: audit?.items ?? [], task: task ?? null, failed: last ?? null});
		draw();
	}

	async function act(request) {
		data.problem = null;
		try {
			await request();
			await reload();
		} catch (error) {
			if (!error.sentence)
				throw error;
			data.problem = error;
			draw();
		}
	}

	const renew = () => act(() => post(`certificates/${segment(data.site.certificate.id)}/renew`));

	async function changeUpstreams(site) {
		const where = field({name: 'proxy', label: 'Application address', hint: `${upstreamHint} Several with spaces between.`, mono: true, value: site.upstreams.join(' '),
			check: text => text ? null : 'Give the address of the application, such as 127.0.0.1:3000.'});
		await ask({title: `Application behind ${site.name}`, act: 'Save', safe: 'Keep it', body: where.root, focus: where.input, run: async () => {
			data.site = await put(`sites/${segment(site.name)}`, {proxy: where.value.split(/[\s,]+/).filter(Boolean), version: site.version});
		}});
		draw();
	}

	function entries(site) {
		const c = site.certificate, stored = site.source === 'store', may = page.may('operate');
		return [
			holds(c) ? {text: 'Export certificate and chain', href: `api/certificates/${segment(c.id)}/export`, download: `${site.name}.pem`} : null,
			may && holds(c) && !c.temporary && !c.revoked ? {text: 'Revoke', act: () => act(() => revoke(site))} : null,
			may && c && !ends(c) ? {text: 'Disable', act: () => act(() => disable(site))} : null,
			may && stored ? {text: 'Edit site', href: `#/sites?edit=${encodeURIComponent(site.name)}`} : null,
			may && stored ? {text: 'Remove site', act: async () => {
				leaving = true;
				leaving = await remove(site);
				if (leaving)
					location.hash = '#/sites';
			}} : null,
		].filter(Boolean);
	}

	function actions(site) {
		const c = site.certificate, may = page.may('operate'), list = entries(site);
		const given = ends(c), idle = !c || c.state === 'temporary' && !c.reason;
		return [
			may && holds(c) && !given && c.next_renewal && c.state !== 'working' && !c.failures ? button('Renew now', renew) : null,
			may && !site.fallback && (given || idle) ? link(given ? 'Register again' : 'Register', configure(site), {class: 'button'}) : null,
			site.fallback || c?.failures ? null : link('Diagnose', diagnosis(site), {class: 'button'}),
			list.length ? menu('More', list) : null,
		];
	}

	function picture(site) {
		const c = site.certificate;
		return [
			holds(c) ? lifeline(lifeOf(c, data.tasks)) : null,
			data.task ? stepsPicture(data.task.Task, data.task.Steps) : null,
		];
	}

	/* What clients get that cannot do with the first one's key. */
	function beside(site) {
		const c = site.beside, may = page.may('operate'), its = {...site, certificate: c};
		if (!holds(c))
			return null;
		return certificateSection(c, 'Certificate for clients without ECDSA', [
			h('p', {}, ends(c) ? 'Nothing renews it. It expires ' : 'It expires ', time(c.not_after, 'relative'),
				c.next_renewal ? [' and is renewed by itself ', time(c.next_renewal, 'relative')] : null, '.'),
			c.last_error ? notice('warning', c.last_error.message) : null,
			h('p', {}, link('Export it with its chain', `api/certificates/${segment(c.id)}/export`, {download: `${site.name}-rsa.pem`})),
			may && !ends(c) && c.state !== 'working' ? h('div', {class: 'row'},
				button('Renew this one', () => act(() => post(`certificates/${segment(c.id)}/renew`)), {small: true}),
				button('Disable this one', () => act(() => disable(its)), {small: true}),
				button('Revoke this one', () => act(() => revoke(its)), {small: true})) : null,
		]);
	}

	function differs(site) {
		const c = site.certificate;
		return c?.served && c.served !== 'stored' && c.state !== 'expired'
			? notice('warning', [h('p', {}, c.served), link('Diagnose', diagnosis(site))], {key: 'differs'}) : null;
	}

	function about(site) {
		const c = site.certificate, may = page.may('operate') && site.source === 'store';
		return section('Site', facts([
			['Names', site.names.map((name, i) => [i ? h('br') : null, mono(name)])],
			site.unicode ? ['Shown as', site.unicode] : null,
			site.url && !site.fallback ? ['Address', link(site.url, site.url, {rel: 'noreferrer', target: '_blank'})] : null,
			['Application', [site.upstreams.length ? mono(site.upstreams.join(', ')) : 'None',
				may ? [' ', button('Change', () => changeUpstreams(site), {kind: 'plain', 'aria-label': 'Change the application address'})] : null]],
			site.rules?.length ? ['Rules of the file', site.rules.map((rule, i) => [i ? h('br') : null, mono(rule)])] : null,
			['Issuer', site.issuer_title ?? 'None'],
			c?.email ? ['E-mail', mono(c.email)] : null,
			['Listens at', site.listen ? mono(`${site.listen.address}:${site.listen.port}`) : 'All HTTPS addresses'],
		]), isLocked(site.source) ? locked(site.source) : null, page.may('operate') ? null : noPermission(page.session.scope));
	}

	function failure(site) {
		const c = site.certificate, error = data.failed?.Error ?? c?.last_error;
		return c?.failures && error && !data.task ? failedSection({task: data.failed?.Task, steps: data.failed?.Steps, error, name: site.fallback ? null : site.name,
			again: page.may('operate') ? renew : null}) : null;
	}

	function draw() {
		const {site} = data;
		if (!site)
			return;
		const c = site.certificate;
		page.draw(h('div', {class: 'home'},
			band({path, subject: site.fallback ? 'All other names' : site.unicode ? [site.unicode, h('small', {}, ` ${site.name}`)] : site.name, mono: !site.unicode && !site.fallback,
				actions: actions(site), readouts: readouts(site, data.task), picture: picture(site)}),
			columns([
				data.problem ? notice('problem', data.problem.sentence, {close: () => { data.problem = null; draw(); }}) : null,
				implausibleClock(c), differs(site), failure(site),
				holds(c) ? certificateSection(c) : null,
				beside(site),
				holds(c) && !site.fallback ? settings.section(site) : null,
				holds(c) ? null : about(site),
			], [
				failure(site) && data.failed ? section('Steps of this attempt', stepsShort(data.failed.Task, data.failed.Steps)) : null,
				historySection(site, data),
				holds(c) ? about(site) : null,
			])));
	}

	function taskChanged(details) {
		const {Task: task, Steps: steps} = details;
		if (task.About !== data.site?.certificate?.id)
			return;
		sayStep(task, steps);
		if (!isRunning(task))
			return void reload();
		data.task = details;
		draw();
	}

	page.on('task', taskChanged);
	page.on('site', site => {
		if (!data.site && site.name === name)
			reload();
		if (data.site && site.name === data.site.name) {
			data.site = site;
			heard++;
			draw();
			if ((site.certificate?.state === 'working') !== Boolean(data.task))
				more();
		}
	});
	page.on('gone', ({kind, name}) => kind === 'site' && name === data.site?.name && !leaving && reload());
	page.on('snapshot', () => data.site && reload());
	page.every(1000, () => data.task && draw());
	return reload();
}
