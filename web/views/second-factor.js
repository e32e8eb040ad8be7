/* The second factor in one's account: off → password → QR and key → a right code → ten recovery codes,
 * shown once → on. */
import {h, s} from '../h.js';
import {post, put} from '../api.js';
import {field, form} from '../form.js';
import {ask, button, copy, notice, section, state} from '../parts.js';
import {passwordField} from './sign-in.js';
import {count, slot, userName} from './shared.js';

function qr({svg_path: path, svg_size: size}) {
	return s('svg', {class: 'qr', viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'QR code of the key', 'shape-rendering': 'crispEdges'},
		s('path', {d: path}));
}

const inFours = key => key.replace(/(.{4})(?=.)/g, '$1 ');

function passwordStep(name, next, cancel) {
	const password = passwordField({name: 'factor-password', label: 'Your password', autocomplete: 'current-password', check: text => text ? null : 'Give your password.'});
	const made = form({fields: [password], children: [userName(name), password.root], submit: 'Show the QR code', also: [button('Leave it off', cancel)], send: async () => {
		try {
			next(await post('account/second-factor', {password: password.value}));
		} catch (error) {
			if (error.details?.field === 'password')
				error.details.field = 'factor-password';
			throw error;
		}
	}});
	return {root: h('div', {}, made.root), first: password.input};
}

function codeStep(offer, next, cancel) {
	const code = field({name: 'code', label: 'Code that the app shows now', autocomplete: 'one-time-code', inputmode: 'numeric', kind: 'field-code', maxlength: 12,
		repair: text => text.replace(/\s/g, ''), check: text => /^\d{6}$/.test(text) ? null : 'The code has six digits.'});
	const made = form({fields: [code], submit: 'Switch on', also: [button('Leave it off', cancel)],
		send: async () => next(await put('account/second-factor', {code: code.value}))});
	const root = h('div', {},
		h('p', {}, 'Scan this with an app for one-time codes, or type the key there.'),
		offer.svg_size ? qr(offer) : null,
		h('p', {class: 'secret'}, h('span', {class: 'mono'}, inFours(offer.key)), ' ', copy('key', offer.key)),
		h('p', {class: 'hint'}, 'Key and QR code are shown only now.'), made.root);
	return {root, first: code.input};
}

function recoveryStep({recovery_codes: codes}, next) {
	const title = h('h3', {tabindex: '-1'}, 'Recovery codes');
	const root = h('div', {}, title,
		h('p', {}, 'Each works once instead of a code, should the phone be lost. They are shown only now: print them, or keep them where your passwords are.'),
		h('ol', {class: 'codes mono'}, codes.map(code => h('li', {}, code))),
		h('div', {class: 'actions'}, button('I have kept them', next, {filled: true}), copy('recovery codes', codes.join('\n'), 'Copy all')));
	return {root, first: title};
}

function switchOff(name, reload) {
	const password = passwordField({name: 'off-password', label: 'Your password', autocomplete: 'current-password'});
	return ask({title: 'Switch the second factor off?', safe: 'Keep it', act: 'Switch it off', danger: true, focus: password.input,
		body: [h('p', {}, 'Then the password alone lets somebody in as you. The recovery codes no longer work.'), userName(name), password.root],
		run: () => post('account/second-factor/off', {password: password.value})}).then(done => done && reload());
}

/* Returns what draws the section for an account. name: of the person; draw: draws the view again; reload: asks anew first. */
export function secondFactor(name, draw, reload) {
	let step = null, steps = 0;

	function enter(next) {
		step = next;
		steps++;
		draw();
		step?.first.focus();
	}
	const end = () => {
		enter(null);
		reload();
	};
	const begin = () => enter(passwordStep(name, offer => enter(codeStep(offer, codes => {
		enter(recoveryStep(codes, end));
		reload();
	}, end)), end));

	function isOff() {
		return [h('p', {}, state('off', 'Off'), '. With it, a stolen password alone lets nobody in: signing in also asks for a code from your phone.'),
			h('div', {class: 'actions'}, button('Switch on', begin))];
	}

	function isOn({recovery_codes_left: left}) {
		return [h('p', {}, state('ok', 'On'), `, ${count(left, 'recovery code', 'recovery codes')} left.`),
			left < 3 ? notice('warning', h('p', {}, 'Few recovery codes are left. Switch the second factor off and on again for ten new ones.')) : null,
			h('div', {class: 'actions'}, button('Switch off …', () => switchOff(name, reload)))];
	}

	return account => section('Second factor', step ? slot(`step-${steps}`, step.root) : h('div', {key: 'standing', class: 'stack'}, account.second_factor ? isOn(account) : isOff()));
}
