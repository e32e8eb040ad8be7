/* The way in: as a view of its own, and as a dialog above the page when a session has ended. */
import {h, icon, update} from '../h.js';
import {session as calls} from '../api.js';
import {dayScale} from '../lifeline.js';
import {now, words} from '../time.js';
import {field, form} from '../form.js';
import {band, button, columns, facts, notice, section} from '../parts.js';

/* An input with a button that shows what is typed. */
export function passwordField(options) {
	const show = button('Show', () => {
		const hidden = password.input.type === 'password';
		password.input.type = hidden ? 'text' : 'password';
		show.textContent = hidden ? 'Hide' : 'Show';
	}, {'aria-label': 'Show what is typed'});
	const password = field({type: 'password', repair: text => text, after: show, maxlength: 256, ...options});
	return password;
}

function clockSign() {
	const d = words(now(), 'seconds');
	return h('div', {class: 'sign'}, icon('mark-now'), h('p', {}, "This server's clock"),
		h('p', {}, `${words(now(), 'moment').split(', ')[0]}, `, h('b', {}, d)));
}

function signInForm(done, name = '') {
	const fields = {
		name: field({name: 'name', label: 'Name', value: name, autocomplete: 'username', autocapitalize: 'none', maxlength: 64,
			check: text => text ? null : 'Give your name.'}),
		password: passwordField({name: 'password', label: 'Password', autocomplete: 'current-password',
			check: text => text ? null : 'Give your password.'}),
		code: field({name: 'code', label: 'Code', hint: 'Only if you switched it on: six digits, or a recovery code.',
			autocomplete: 'one-time-code', kind: 'field-code', repair: text => text.replace(/\s/g, ''), maxlength: 32}),
	};
	const signIn = form({fields: Object.values(fields), submit: 'Sign in', send: async () => {
		const {value: code} = fields.code;
		try {
			done(await calls.begin({name: fields.name.value, password: fields.password.value, ...(code ? {code} : {})}));
		} catch (error) {
			if (error.details?.code_needed && !code)
				error.details.field = 'code';
			throw error;
		}
	}});
	return {root: signIn.root, fields};
}

function command(text) {
	return h('code', {}, text);
}

function wayBackIn(setup) {
	return section(setup ? 'No administrator yet' : 'No way in?',
		h('p', {class: 'hint'}, setup
			? 'Nobody can sign in before the first administrator is made. The link for it is made on the server:'
			: 'Nobody can reset a password from here. On the server itself:'),
		facts([
			setup ? null : ['New password', command('everseal admin password NAME')],
			['One-time link', command('everseal admin link')],
			['How it stands', command('everseal status')],
		]),
		h('p', {class: 'hint'}, setup ? null : 'Codes depend on time. If yours are refused, compare your phone with the clock above.'));
}

/* What is outside the session: strip, band with the clock, and columns. */
export function outsidePage(title, left, right) {
	document.title = `${title} - Everseal`;
	return [
		h('header', {class: 'strip'}, h('span', {class: 'brand'}, 'EVERSEAL'), h('span', {class: 'host mono'}, location.host)),
		h('main', {}, band({path: [], subject: null, picture: [h('h1', {class: 'subject', tabindex: '-1'}, title), dayScale(clockSign)]}),
			columns(left, right)),
	];
}

const selfMadeWords = "This page's certificate is self-made. Compare its fingerprint with the one in the server's log before you sign in.";

export function view(app, {done, setup, selfMade}) {
	const {root, fields} = signInForm(done);
	update(app, outsidePage('Sign in', h('section', {class: 'section'},
		selfMade ? notice('warning', selfMadeWords) : null, root), wayBackIn(setup)));
	fields.name.input.focus();
}

/* Resolves with the new session. What is typed in the page below stays. */
export function dialog() {
	return new Promise(resolve => {
		const back = document.activeElement, before = document.title;
		const {root, fields} = signInForm(session => {
			box.remove();
			document.title = before;
			back?.focus?.();
			resolve(session);
		}, document.querySelector('.person')?.firstChild?.textContent ?? '');
		const box = h('dialog', {'aria-labelledby': 'again', oncancel: event => event.preventDefault()},
			h('h2', {id: 'again'}, 'Sign in again'),
			h('p', {class: 'hint'}, 'Your session has ended. What you typed stays; the page goes on where it was.'), root);
		document.body.append(box);
		box.showModal();
		fields[fields.name.value ? 'password' : 'name'].input.focus();
	});
}
