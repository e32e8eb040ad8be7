/* Adding a site, and changing its names and its application. What the file sets is shown locked. */
import {h, icon, update} from '../h.js';
import {get, post, put, segment} from '../api.js';
import {field, form} from '../form.js';
import {go} from '../router.js';
import {band, button, isLocked, link, locked, noPermission, notice, paper} from '../parts.js';
import {remove} from './danger.js';
import {hstsGuard} from './hsts-guard.js';
import {listed, slot, upstreamHint} from './shared.js';

const split = text => text.split(/[\s,]+/).filter(Boolean);

/* The server offers what would do for the first name that cannot be taken; the others stay. */
function withOffered(text, offered) {
	const names = split(text), at = names.findIndex(name => !/^[a-z0-9.-]+$/i.test(name));
	names[Math.max(0, at)] = offered;
	return names.join(' ');
}

function makeFields(site) {
	return {
		names: field({name: 'names', label: 'Names', mono: true, value: site?.names.join(' ') ?? '', autocomplete: 'off',
			hint: ['Without http://. Several with a space between; the first one names the site.',
				site ? ' A name that goes leaves its certificate, too: one without it is ordered at once.' : null],
			check: text => text ? null : 'Give the name that visitors type, such as shop.example.com.'}),
		proxy: field({name: 'proxy', label: 'Application', mono: true, value: site?.upstreams.join(' ') ?? '', autocomplete: 'off',
			hint: `What answers behind. ${upstreamHint} Empty: that of all other names, if there is one.`}),
	};
}

function said(fields) {
	const proxy = split(fields.proxy.value);
	return {names: split(fields.names.value), ...(proxy.length ? {proxy} : {})};
}

/* Where the first name leads, as seen from here: a warning, not a wall. */
function lookAt(fields, page) {
	const place = h('div', {class: 'seen', role: 'status'});
	let asked = '';
	const show = ({name, addresses, message, site}, own) => update(place,
		message ? h('p', {class: 'is-warning'}, icon('warning'), h('span', {}, message))
			: h('p', {}, icon('ok', 'is-ok'), h('span', {}, h('span', {class: 'mono'}, name), ' leads to ', h('span', {class: 'mono'}, listed(addresses)), '.')),
		site && site !== own ? h('p', {class: 'is-warning'}, icon('warning'), h('span', {}, 'It has a site already: ', link(site, `#/sites/${segment(site)}`), '.')) : null);
	async function look(own) {
		const [name = ''] = split(fields.names.value);
		if (!name || name === asked)
			return;
		asked = name;
		update(place);
		try {
			const seen = await get('lookup', {name}, page.signal);
			if (name === asked && seen.unicode !== null) // null: no name, which the form says by itself
				show(seen, own);
		} catch {
			update(place); // it only advises
		}
	}
	return {place, look};
}

function both(label, theirs, ours) {
	return h('p', {}, `${label}: `, h('span', {class: 'mono'}, theirs || 'none'), ' there, ', h('span', {class: 'mono'}, ours || 'none'), ' here.');
}

/* Somebody else was faster: both values, and the choice. */
function conflictNotice(fields, current, version, act) {
	const theirs = [current.names.join(' '), current.upstreams.join(' ')];
	return notice('warning', [h('p', {}, `${current.name} was changed meanwhile.`),
		theirs[0] === fields.names.value ? null : both('Names', theirs[0], fields.names.value),
		theirs[1] === fields.proxy.value ? null : both('Application', theirs[1], fields.proxy.value),
		h('div', {class: 'actions'},
			button('Use what is there', () => {
				fields.names.value = theirs[0];
				fields.proxy.value = theirs[1];
				act(version);
			}, {small: true}),
			button('Keep what is here', () => act(version), {small: true}))]);
}

function makeForm(page, site) {
	const fields = makeFields(site), meanwhile = h('div', {}), seen = lookAt(fields, page), guard = hstsGuard();
	let version = site?.version;
	const back = site ? `#/sites/${segment(site.name)}` : '#/sites';

	async function send() {
		const saved = site
			? await guard.pass(site.name, given => put(`sites/${segment(site.name)}`, {...said(fields), version, ...given}))
			: await post('sites', said(fields));
		go(`#/sites/${segment(saved.name)}`);
	}

	const made = form({
		fields: [...Object.values(fields), guard.typed], submit: site ? 'Save' : 'Add site', kind: 'configure',
		also: [link(site ? 'Keep it as it was' : 'Back to the sites', back, {class: 'button'})],
		children: [meanwhile, fields.names.root, seen.place, fields.proxy.root, guard.typed.root],
		send: () => send().catch(error => {
			if (error.details?.offered && error.details.field === 'names')
				error.details.offered = withOffered(fields.names.value, error.details.offered);
			if (error.code !== 'conflict' || !error.details.current)
				throw error;
			const {current, version: theirs} = error.details;
			update(meanwhile, conflictNotice(fields, current, theirs, now => {
				version = now;
				update(meanwhile);
				fields.names.input.focus();
			}));
			meanwhile.querySelector('button').focus();
		}),
	});
	for (const type of ['blur', 'change'])
		fields.names.input.addEventListener(type, () => seen.look(site?.name));
	fields.names.input.addEventListener('input', guard.withdraw);
	return made;
}

function shown(site) {
	return [h('p', {}, h('b', {}, 'Names'), h('br'), h('span', {class: 'mono'}, site.names.join(' '))),
		h('p', {}, h('b', {}, 'Application'), h('br'), h('span', {class: 'mono'}, site.upstreams.join(' ') || 'none'))];
}

function draw(page, site) {
	const mayChange = page.may('operate') && !isLocked(site?.source);
	const content = mayChange ? slot('form', makeForm(page, site).root)
		: h('div', {class: 'stack'}, site ? shown(site) : null,
			isLocked(site?.source) ? locked(site.source) : noPermission(page.session.scope));
	const removal = site && mayChange ? button('Remove …', () => remove(site).then(done => done && go('#/sites'))) : null;
	page.title(site ? `Edit ${site.name}` : 'Add site');
	page.draw(
		band({path: [['Configuration'], ['Sites', '#/sites'], [site ? 'Edit' : 'Add']], subject: site?.name ?? 'Add a site', mono: Boolean(site), actions: [removal]}),
		paper(h('div', {class: 'narrow-form'}, content)));
}

/* name: of the site to change; null: a new one. */
export function siteForm(page, name) {
	if (name === null)
		return draw(page, null);
	page.title(`Edit ${name}`);
	page.load(name, signal => get(`sites/${segment(name)}`, {}, signal), site => draw(page, site));
}
