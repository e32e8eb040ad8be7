/* Recommended next steps of a site: Force SSL, then HSTS by its ramp. Switches act on Save.
 *
 *   const settings = siteSettings(page, draw, changed);  settings.section(site)
 *     draw: draws the view again; changed(site): the server's new object */
import {h} from '../h.js';
import {put, segment} from '../api.js';
import {time} from '../time.js';
import {ask, button, isLocked, locked, more, notice, section, tellAll} from '../parts.js';
import {age} from './shared.js';

export const RAMP = [[300, '5 min', '5 minutes'], [3600, '1 hour', '1 hour'], [86400, '1 day', '1 day'], [31536000, '1 year', '1 year']];
const YEAR = 31536000;

export const hstsIsOn = site => Boolean(site.hsts && site.hsts.max_age > 0);

export function hstsWords(hsts) {
	if (!hsts || hsts.max_age === 0)
		return 'off';
	return age(hsts.max_age) + (hsts.subdomains ? ', subdomains' : '') + (hsts.preload ? ', preload' : '');
}

/* The next age is offered when the last went well. */
export function nextAge(site) {
	if (!hstsIsOn(site))
		return RAMP[0];
	return RAMP.find(([seconds]) => seconds > site.hsts.max_age) ?? null;
}

export const isServed = site => site.certificate?.served === 'stored' && ['ok', 'working'].includes(site.state);

/* The recommendation of the readout: text, or null when all is done. */
export function recommended(site) {
	if (!isServed(site))
		return null;
	if (!site.force_ssl && !isLocked(site.force_ssl_source))
		return 'Force SSL';
	const next = nextAge(site);
	if (!next || isLocked(site.hsts_source) || !site.force_ssl)
		return null;
	return `HSTS, ${next[2]}`;
}

function evidence(certificate) {
	if (certificate?.seen_from_outside)
		return h('p', {class: 'hint'}, 'Evidence: a visitor from outside was served over HTTPS at ', time(certificate.seen_from_outside, 'near'),
			certificate.seen_client ? ` (${certificate.seen_client}).` : '.');
	return h('p', {class: 'hint'}, 'No visitor from outside has been served over HTTPS yet. Open the site from another network first.');
}

function openedUnder(site) {
	return location.protocol === 'https:' && site.names.includes(location.hostname);
}

const isAddress = name => name.includes(':') || /^[\d.]+$/.test(name);

function hstsWarning(site, person) {
	if (site.names.every(isAddress))
		return 'It is for DNS names only: browsers take none from an address, and none is sent.';
	return [
		'Browsers refuse plain HTTP for this name and let nobody pass a certificate error. They remember it for the time chosen; it cannot be called back.',
		openedUnder(site) && person.self_made
			? ` It holds for every port of the name: if you open this page as ${location.origin} with its self-made certificate, the browser will no longer let you pass; open it by its address instead.` : null,
	];
}

function ramp(site) {
	const current = site.hsts?.max_age ?? 0, next = nextAge(site);
	return h('ol', {class: 'ramp', 'aria-label': 'HSTS, step by step'}, RAMP.map(([seconds, text]) => {
		const reached = seconds <= current;
		return h('li', {class: reached ? 'reached' : null}, h('b', {}, text),
			h('span', {}, seconds === current ? 'now' : reached ? 'done' : seconds === next?.[0] ? 'next' : ' '));
	}));
}

export function siteSettings(page, draw, changed) {
	const wished = {force: null, hsts: null};
	let failed = null, conflict = null;

	async function save(site, values, said) {
		failed = conflict = null;
		try {
			const fresh = await put(`sites/${segment(site.name)}`, {...values, version: site.version});
			wished.force = wished.hsts = null;
			tellAll(said);
			changed(fresh);
			document.getElementById(`switch-${'hsts' in values ? 'hsts' : 'force'}`)?.focus();
		} catch (error) {
			if (!error.sentence)
				throw error;
			if (error.status === 409 && error.details.current)
				conflict = {values, said, current: error.details.current};
			else
				failed = error;
			draw();
		}
	}

	function clash(site) {
		const {values, said, current} = conflict;
		const lines = [['force_ssl', 'Force SSL', v => v ? 'on' : 'off'], ['hsts', 'HSTS', hstsWords]]
			.filter(([member]) => member in values)
			.map(([member, label, text]) => `${label}: it is ${text(current[member])} now, you chose ${text(values[member])}.`);
		return notice('warning', [h('p', {}, `${site.name} was changed meanwhile. `, lines.join(' ')),
			h('div', {class: 'actions'},
				button('Use mine', () => save(current, values, said)),
				button('Keep what is there', () => { conflict = null; wished.force = wished.hsts = null; changed(current); }))]);
	}

	function saving(differs, act, back) {
		return differs ? h('div', {class: 'actions'}, button('Save', act, {filled: true}), button('Put back', back)) : null;
	}

	function flip(member, now, label, may) {
		const id = `switch-${member}`, wish = wished[member] ?? now;
		if (!may)
			return null;
		return h('input', {id, type: 'checkbox', role: 'switch', name: id, controlled: true, checked: wish, 'aria-label': label,
			'aria-describedby': `${id}-words`, onchange: event => {
				wished[member] = event.currentTarget.checked === now ? null : event.currentTarget.checked;
				draw();
			}});
	}

	function forceSsl(site) {
		const now = site.force_ssl, wish = wished.force ?? now;
		const fixed = isLocked(site.force_ssl_source);
		return h('div', {class: fixed || !page.may('operate') ? 'step-setting fixed' : 'step-setting', id: 'force-ssl'}, flip('force', now, 'Force SSL', page.may('operate') && !fixed),
			h('div', {class: 'inside'}, h('h3', {}, h('b', {}, 'Force SSL'), ` ${now ? 'On' : 'Off'}`),
				h('p', {class: 'hint', id: 'switch-force-words'}, 'Sends visitors from HTTP to HTTPS; the checks of the certificate authority on port 80 are still answered. Can be undone at any time.'),
				!now && wish ? evidence(site.certificate) : null,
				fixed ? locked(site.force_ssl_source) : null,
				saving(wish !== now, () => save(site, {force_ssl: wish}, `Force SSL ${wish ? 'on' : 'off'}`), () => { wished.force = null; draw(); })));
	}

	function raise(site, [seconds, , text]) {
		return ask({title: `Raise HSTS of ${site.name} to ${text}?`, safe: `Keep ${age(site.hsts.max_age)}`, act: `Raise to ${text}`,
			body: [h('p', {}, hstsWarning(site, page.session)), evidence(site.certificate)],
			run: () => save(site, {hsts: {...site.hsts, max_age: seconds}}, `HSTS raised to ${text}`)});
	}

	function offWords(site) {
		return h('p', {}, 'max-age=0 is sent. A browser forgets at its next HTTPS visit: keep HTTPS working.',
			site.hsts_promised_until ? [' Browsers that do not come back hold to it until ', time(site.hsts_promised_until, 'moment'), '.'] : null);
	}

	function turnOn(site) {
		return save(site, {hsts: {max_age: RAMP[0][0], subdomains: false, preload: false}}, `HSTS on, ${RAMP[0][2]}`);
	}

	function wider(site) {
		if (!hstsIsOn(site) || !page.may('operate') || isLocked(site.hsts_source))
			return null;
		const {hsts} = site, above = site.name.split('.').length > 2 ? site.name : site.names[0];
		const line = (member, text, about, allowed) => h('div', {class: 'step-setting'},
			h('span', {}, hsts[member] ? 'On' : 'Off'), h('div', {class: 'inside'}, h('b', {}, text), h('p', {class: 'hint'}, about),
				allowed || hsts[member] ? button(`${hsts[member] ? 'Turn off' : 'Turn on'} ${text.toLowerCase()}`, () => ask({
					title: `${hsts[member] ? 'Turn off' : 'Turn on'} ${text.toLowerCase()} for ${site.name}?`, safe: 'Keep it', act: hsts[member] ? 'Turn off' : 'Turn on',
					body: h('p', {}, about), run: () => save(site, {hsts: {...hsts, [member]: !hsts[member]}}, `${text} ${hsts[member] ? 'off' : 'on'}`)}), {small: true}) : null));
		return more('Subdomains and preload',
			line('subdomains', 'Subdomains', `Every name under ${above} needs HTTPS, served here or not.`, true),
			line('preload', 'Preload', `Built into browsers; removal takes months.${hsts.max_age < YEAR || !hsts.subdomains ? ' It needs 1 year and subdomains.' : ''}`,
				hsts.max_age >= YEAR && hsts.subdomains));
	}

	function hsts(site) {
		const now = hstsIsOn(site), wish = wished.hsts ?? now;
		const fixed = isLocked(site.hsts_source), may = page.may('operate') && !fixed;
		const next = nextAge(site);
		return h('div', {class: may ? 'step-setting' : 'step-setting fixed', id: 'hsts'}, flip('hsts', now, 'HSTS', may),
			h('div', {class: 'inside'}, h('h3', {}, h('b', {}, 'HSTS'), ` ${now ? `On, ${hstsWords(site.hsts)}` : 'Off'}`),
				h('p', {class: 'hint', id: 'switch-hsts-words'}, hstsWarning(site, page.session)),
				!now && wish ? [evidence(site.certificate), h('p', {class: 'hint'}, 'It begins with 5 minutes; the next step is offered when that went well.')] : null,
				now && !wish ? offWords(site) : null,
				!now && !wish && site.hsts_promised_until ? offWords(site) : null,
				fixed ? locked(site.hsts_source) : null,
				now && wish ? h('div', {class: 'ramp-row'}, ramp(site),
					next && may && isServed(site) ? button(`Raise to ${next[2]}`, () => raise(site, next)) : null) : null,
				saving(wish !== now, () => wish ? turnOn(site) : save(site, {hsts: null}, 'HSTS off'), () => { wished.hsts = null; draw(); }),
				now && wish ? wider(site) : null));
	}

	return {
		section: site => section('Next steps', conflict ? clash(site) : null,
			failed ? notice('problem', failed.sentence, {close: () => { failed = null; draw(); }}) : null,
			forceSsl(site), hsts(site)),
	};
}
