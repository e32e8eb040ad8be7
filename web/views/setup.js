/* The one-time link: it makes an administrator. */
import {h, said, update} from '../h.js';
import {post} from '../api.js';
import {field, form} from '../form.js';
import {facts, notice, section} from '../parts.js';
import {PASSWORD_LEAST} from './people-forms.js';
import {outsidePage, passwordField} from './sign-in.js';

function makeForm(token, done) {
	const name = field({name: 'name', label: 'Name', hint: 'As it will stand in the audit, such as ana.', autocomplete: 'username', autocapitalize: 'none', maxlength: 64,
		check: text => text ? null : 'Give the name that you will sign in with.'});
	const password = passwordField({name: 'password', label: 'Password', autocomplete: 'new-password',
		hint: `${PASSWORD_LEAST} characters or more; a few words in a row are good. Everseal has no default and cannot show it again.`,
		check: text => [...text].length >= PASSWORD_LEAST ? null : `The password needs ${PASSWORD_LEAST} characters or more.`});
	const make = form({fields: [name, password], submit: 'Make administrator',
		send: async () => done(await post('setup', {token, name: name.value, password: password.value}))});
	make.name = name;
	return make;
}

function rights() {
	return section('What an administrator can do',
		h('p', {class: 'hint'}, 'Everything on this page: sites, certificates, people and tokens. Private keys and the recovery of people stay on the server:'),
		facts([['New password', h('code', {}, 'everseal admin password NAME')], ['One-time link', h('code', {}, 'everseal admin link')]]),
		h('p', {class: 'hint'}, 'A link works once, for half an hour.'));
}

export async function view(app, {token, done}) {
	const place = h('section', {class: 'section'});
	app.replaceChildren(...outsidePage('Make an administrator', place, rights()));
	try {
		await post('setup/check', {token});
		const make = makeForm(token, done);
		update(place, make.root);
		make.name.input.focus();
	} catch (error) {
		if (!error.sentence)
			throw error;
		update(place, notice('problem', [h('p', {}, said(error.sentence)), h('p', {}, h('a', {href: './'}, 'Sign in'))]));
	}
}
