/* Configure: from a DNS name to HTTPS. What is wanted stands beside what Everseal sees of it. */
import {h, icon, update} from '../h.js';
import {get, post, segment} from '../api.js';
import {words} from '../time.js';
import {go} from '../router.js';
import {band, button, link, mono, more, noPermission, paper, section} from '../parts.js';
import {choice, field, form, tick} from '../form.js';
import {hstsGuard} from './hsts-guard.js';
import {upstreamHint} from './shared.js';

const path = [['Configuration'], ["Let's Encrypt", '#/lets-encrypt'], ['Configure']];

/* Repaired silently: spaces, capitals, the last dot. */
const repairName = text => text.trim().toLowerCase().replace(/\.$/, '');
const list = text => text.split(/[\s,]+/).map(repairName).filter(Boolean);

function checkName(text) {
	if (!text)
		return 'Give the DNS name of your application, such as shop.example.com.';
	if (/^[a-z]+:\/\/|\//.test(text)) {
		const host = text.replace(/^[a-z]+:\/\//, '').split(/[/:?#]/)[0];
		return {text: 'This is a web address; a DNS name is needed.', use: host.includes('.') ? host : null};
	}
	if (text.startsWith('*.'))
		return {text: 'A wildcard cannot be proven over port 80; give the names one by one.', use: text.slice(2)};
	return null;
}

function see(lamp, ...words) {
	return h('p', {}, icon(lamp, `is-${lamp}`), h('span', {}, words));
}

function between(items) {
	return items.map((item, i) => [i ? (i === items.length - 1 ? ' and ' : ', ') : null, mono(item)]);
}

const keyTypes = [['', 'The usual one'], ['p256', 'ECDSA P-256'], ['p384', 'ECDSA P-384'], ['rsa2048', 'RSA 2048'], ['rsa3072', 'RSA 3072'], ['rsa4096', 'RSA 4096'], ['p256,rsa2048', 'ECDSA P-256 and RSA 2048']];

/* Everseal's own authority has no directory, and wants neither terms accepted nor an address. */
const isOwn = issuer => issuer?.directory === null;

/* Where Everseal listens already is what is offered first: nothing else need be bound. */
function makeFields({name, issuers, addresses, listeners, email}) {
	const own = listeners.filter(l => l.scheme === 'https' && l.state === 'listening');
	const all = [...new Set(['0.0.0.0', '::', ...own.map(l => l.address), ...addresses])];
	const titles = {'0.0.0.0': '0.0.0.0 (all)', '::': ':: (all, IPv6 too)'};
	const standard = issuers.find(i => i.default) ?? issuers[0];
	const titleOf = i => i.staging ? `${i.title}: for rehearsals, browsers do not trust it` : isOwn(i) ? `${i.title}: browsers trust it where its root is installed` : i.title;
	const asked = () => !isOwn(issuers.find(i => i.name === fields.issuer.value)); // whether the CA wants to know
	const fields = {
		name: field({name: 'names', label: 'DNS name', mono: true, value: name, autocomplete: 'off', inputmode: 'url', repair: repairName, check: checkName,
			hint: 'Without http://; an IP address does, too. It must lead here from the Internet on port 80. It will be public: certificates are listed in open logs.'}),
		terms: tick({name: 'agree_tos', title: 'Terms', label: 'I accept the terms of service', check: yes => yes || !asked() ? null : 'Accept the terms to register.'}),
		email: field({name: 'email', label: 'E-mail', mono: true, type: 'email', value: email, autocomplete: 'email',
			hint: ["For the certificate authority (CA). Let's Encrypt warns nobody of expiry; Everseal does: ", link('Alerts', '#/alerts')],
			check: text => /^\S+@\S+\.\S+$/.test(text) || (!text && !asked()) ? null : text ? 'This is no e-mail address: name@example.com.' : 'Give an e-mail address for the certificate authority.'}),
		address: choice({name: 'address', label: 'IP address', options: all.map(a => [a, titles[a] ?? a]), value: own[0]?.address ?? '0.0.0.0'}),
		port: field({name: 'port', label: 'Port', value: String(own[0]?.port ?? 443), inputmode: 'numeric', check: text => /^\d+$/.test(text) && text > 0 && text < 65536 ? null : 'A port is a number from 1 to 65535.'}),
		further: field({name: 'further', label: 'Further names', mono: true, autocomplete: 'off', hint: 'In the same certificate, with spaces between: www.shop.example.com.'}),
		issuer: choice({name: 'issuer', label: 'Certificate authority (CA)', options: issuers.map(i => [i.name, titleOf(i)]), value: standard?.name ?? ''}),
		keyType: choice({name: 'key_type', label: 'Key type', options: keyTypes, value: '', hint: 'RSA is for clients that are very old; all others are served faster without it. With both each gets what it can do with.'}),
		profile: choice({name: 'profile', label: 'Profile', options: [['', 'The usual one']], value: '', hint: 'What kind of certificate, in the words of the CA.'}),
		proxy: field({name: 'proxy', label: 'Application address', mono: true, autocomplete: 'off', hint: `What answers behind. ${upstreamHint}`}),
	};
	return fields;
}

/* Of a directory: what the CA offers beside its usual certificates, in its own words. */
function offerProfiles(control, profiles) {
	const before = control.value;
	control.input.replaceChildren(h('option', {value: ''}, 'The usual one'),
		...Object.entries(profiles).map(([name, text]) => h('option', {value: name}, text ? `${name}: ${text}` : name)));
	control.value = before in profiles ? before : '';
	control.root.hidden = !Object.keys(profiles).length;
}

/* What Everseal sees beside each field; asked when the field is left. */
function sights(page, f, issuers) {
	const places = {name: h('div', {class: 'seen'}), terms: h('div', {class: 'seen'}), email: h('div', {class: 'seen'}), bind: h('div', {class: 'seen'}), more: h('div', {class: 'seen'})};
	let asked = 0;
	const issuer = () => issuers.find(i => i.name === f.issuer.value);
	const quiet = error => {
		if (!error.sentence)
			throw error;
		return null;
	};

	async function name() {
		const {value} = f.name, round = ++asked;
		if (!value || f.name.check())
			return update(places.name, see('note', 'Where the name leads, once it is given.'));
		let failed = null;
		const found = await get('lookup', {name: value}, page.signal).catch(error => {
			failed = error.sentence;
			return quiet(error);
		});
		if (round !== asked)
			return;
		if (!found)
			return update(places.name, see('unknown', failed));
		if (found.unicode === null) { // no name
			update(places.name);
			return f.name.fail(found.message.replace(` Use ${found.offered}.`, ''), found.offered);
		}
		if (found.upstreams?.length && !f.proxy.input.value)
			f.proxy.value = found.upstreams.join(' ');
		update(places.name,
			found.unicode && found.unicode !== found.name ? see('note', 'Shown to people as ', h('b', {}, found.unicode), '; in DNS it is ', mono(found.name), '.') : null,
			found.addresses[0] === found.name ? see('ok', 'An IP address: certificates for it last a few days, and are renewed in time.')
				: found.addresses.length ? see('ok', mono(found.name), ' leads to ', between(found.addresses), '.')
				: see('warning', found.error ?? found.message ?? 'DNS has no address for it, seen from here. Registering fails until there is one.'),
			found.site ? see('note', 'It is a site of this server: ', link(found.site, `#/sites/${encodeURIComponent(found.site)}`), '.') : null,
			see('unknown', 'Whether port 80 is open from the Internet cannot be seen from here. ', h('b', {}, 'Diagnose first'), ' tries it through the public name.'));
		options();
	}

	async function terms() {
		const label = f.terms.root.querySelector('.tick label'), title = issuer()?.title ?? 'the CA', round = f.issuer.value;
		const own = isOwn(issuer());
		f.terms.root.hidden = f.email.root.hidden = own;
		if (own) {
			offerProfiles(f.profile, {});
			options();
			return update(places.terms, see('note', 'Everseal\'s own authority asks for no terms and no address. Its root is under ', link('Issuers', '#/issuers'), ', to be installed where it is to be trusted.'));
		}
		const found = await get(`issuers/${segment(round)}/directory`, {}, page.signal).catch(error => ({failed: error}));
		if (round !== f.issuer.value)
			return;
		offerProfiles(f.profile, found.profiles ?? {});
		options();
		update(label, 'I accept ', found.terms ? link(`${title}'s terms of service`, found.terms, {target: '_blank', rel: 'noreferrer'}) : `${title}'s terms of service`);
		update(places.terms, found.failed ? see('warning', found.failed.sentence)
			: found.terms ? see('ok', `The link comes from ${title}'s directory, read at ${words(new Date().toISOString(), 'clock')}.`)
				: see('note', `${title} names no terms of service in its directory.`));
	}

	function email() {
		if (isOwn(issuer()))
			return update(places.email);
		const account = issuer()?.account;
		update(places.email, account ? see('ok', 'An account of this server exists', account.email ? [', for ', mono(account.email)] : null, '. It is used again.')
			: see('note', 'An account is made with this address; its key stays on this server.'));
	}

	async function bind() {
		const {address, port} = {address: f.address.value, port: f.port.value};
		const found = await get('bindings/holder', {address, port}, page.signal).catch(quiet);
		if (!found || address !== f.address.value || port !== f.port.value)
			return;
		const free = address === '0.0.0.0' ? [...f.address.input.options].map(o => o.value).find(a => !['0.0.0.0', '::'].includes(a)) : '0.0.0.0';
		update(places.bind,
			found.holder?.startsWith('everseal (') ? see('warning', `Everseal listens on port ${port} already, at an address that this one includes. Choose that address.`)
				: found.holder ? [see('warning', `${found.holder} holds port ${port}. Everseal takes nothing away: choose another address or stop ${found.holder.split(' (')[0]}.`),
				free ? h('div', {class: 'offer'}, button(`Use ${free}`, () => { f.address.value = free; bind(); }, {small: true})) : null]
				: see('ok', found.ours ? `Everseal listens there already; the name is added.` : `Port ${port} is free on this address.`));
	}

	function options() {
		const further = list(f.further.value);
		update(places.more, h('span', {class: 'hint'}, further.length ? [between(further), '. '] : 'No further names. ', `CA: ${issuer()?.title ?? 'none'}. `,
			f.keyType.value ? `Key: ${keyTypes.find(([name]) => name === f.keyType.value)[1]}. ` : null,
			f.profile.value ? ['Profile ', mono(f.profile.value), '. '] : null,
			f.proxy.value ? ['Application ', mono(f.proxy.value), '.'] : 'No application address of its own.'));
	}
	return {places, name, terms, email, bind, options};
}

function ready(page, known) {
	const f = makeFields(known), sight = sights(page, f, known.issuers), top = h('div', {}), guard = hstsGuard();
	const wish = (fields, seen) => h('div', {class: 'wish'}, h('div', {}, fields), seen);

	/* A wrong field within closed options must be seen; and nobody types a command's options here. */
	function here(error) {
		options.open ||= ['issuer', 'key_type', 'profile', 'proxy'].includes(error.details?.field);
		if (/^Nothing stands behind .*--proxy/.test(error.message))
			error.message = `Nothing stands behind ${f.name.value}: give the address of your application.`;
		return error;
	}

	async function register() {
		const proxy = f.proxy.value.trim(), key = f.keyType.value, profile = f.profile.value;
		const registered = await guard.pass(f.name.value, given => post('registrations', {
			names: [f.name.value, ...list(f.further.value)], ...(f.email.value ? {email: f.email.value} : {}), agree_tos: true, issuer: f.issuer.value,
			address: f.address.value, port: Number(f.port.value), ...(proxy ? {proxy} : {}),
			...(key ? {key_type: key} : {}), ...(profile ? {profile} : {}), ...given,
		})).catch(error => { throw here(error); });
		if (known.primary && known.primary !== registered.id)
			go(`#/sites/${encodeURIComponent(f.name.value)}`);
		else
			go('#/lets-encrypt');
	}

	const diagnoseFirst = button('Diagnose first', () => {
		if (f.name.judge(false))
			go(`#/diagnosis/${encodeURIComponent(f.name.value)}`);
		else
			f.name.input.focus();
	});
	const fields = [f.name, f.terms, f.email, f.address, f.port, f.further, f.issuer, f.keyType, f.profile, f.proxy, guard.typed];
	const options = more('More options', f.further.root, f.issuer.root, f.keyType.root, f.profile.root, f.proxy.root);
	const registration = form({fields, submit: 'Register', also: [diagnoseFirst], send: register, place: top, kind: 'configure', children: [
		h('div', {class: 'wish heads'}, section('What you want'), section('What Everseal sees')),
		wish(f.name.root, sight.places.name), wish(f.terms.root, sight.places.terms), wish(f.email.root, sight.places.email),
		wish(h('div', {class: 'side'}, f.address.root, f.port.root), sight.places.bind), wish(options, sight.places.more),
		guard.typed.root,
	]});
	const on = (control, ...acts) => control.input.addEventListener('change', () => acts.forEach(act => act()));
	on(f.name, sight.name, guard.withdraw);
	on(f.issuer, sight.terms, sight.email, sight.options, guard.withdraw);
	on(f.address, sight.bind);
	on(f.port, sight.bind);
	on(f.further, sight.options);
	on(f.proxy, sight.options);
	on(f.keyType, sight.options);
	on(f.profile, sight.options);
	registration.root.addEventListener('submit', () => {
		options.open ||= Boolean(options.querySelector('.wrong'));
	});
	page.draw(band({path, subject: 'HTTPS for a name', below: top}), paper(registration.root));
	for (const look of [sight.name, sight.terms, sight.email, sight.bind, sight.options])
		look();
}

export function view(page) {
	page.title('Configure');
	if (!page.may('operate'))
		return page.draw(band({path, subject: 'HTTPS for a name'}), paper(noPermission(page.session.scope)));
	return page.load('what this machine has', async signal => {
		const [issuers, bindings, overview] = await Promise.all([get('issuers', {}, signal), get('bindings', {}, signal), get('overview', {}, signal)]);
		return {name: page.query.get('name') ?? '', issuers: issuers.items, addresses: bindings.addresses, listeners: bindings.listeners, primary: overview.primary,
			email: issuers.items.find(i => i.default)?.account?.email ?? ''};
	}, known => ready(page, known));
}
