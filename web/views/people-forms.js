/* Adding a person, making a token. A new token is shown once, above the list, until it is closed. */
import {h} from '../h.js';
import {post} from '../api.js';
import {choice, field, form} from '../form.js';
import {go} from '../router.js';
import {band, copy, link, mono, notice, paper} from '../parts.js';
import {passwordField} from './sign-in.js';
import {slot} from './shared.js';

export const scopes = [
	['read', 'Read: look at everything'],
	['operate', 'Operate: register, renew, change sites'],
	['administer', 'Administer: also people and tokens'],
];
const lives = [['30', '30 days'], ['90', '90 days'], ['365', 'A year'], ['', 'Until it is removed']];
export const PASSWORD_LEAST = 10;

export const scopeWords = scope => scope[0].toUpperCase() + scope.slice(1);

function scopeField() {
	return choice({name: 'scope', label: 'Scope', options: scopes, value: 'read', hint: 'As little as will do.'});
}

function show(page, title, made) {
	page.title(title);
	page.draw(band({path: [['Configuration'], ['People', '#/people'], [title]], subject: title}),
		paper(h('div', {class: 'narrow-form'}, slot('form', made.root))));
	made.fields[0].input.focus();
}

export function longEnough(text) {
	return [...text].length >= PASSWORD_LEAST ? null : `The password needs ${PASSWORD_LEAST} characters or more.`;
}

export function personForm(page) {
	const name = field({name: 'name', label: 'Name', hint: 'As it will stand in the audit, such as ana.', autocomplete: 'off', autocapitalize: 'none', maxlength: 64,
		check: text => text ? null : 'Give a name to sign in with.'});
	const password = passwordField({name: 'password', label: 'First password', autocomplete: 'new-password', check: longEnough,
		hint: `${PASSWORD_LEAST} characters or more. Tell it in person; it can be changed under Account.`});
	const scope = scopeField();
	show(page, 'Add person', form({fields: [name, password, scope], submit: 'Add person', also: [link('Back to people', '#/people', {class: 'button'})],
		send: async () => {
			await post('people', {name: name.value, password: password.value, scope: scope.value});
			go('#/people');
		}}));
}

let made = null; // the token that was made last, until it is closed

export function tokenForm(page) {
	const name = field({name: 'name', label: 'Name', hint: 'Who will use it, such as deploy script.', autocomplete: 'off', maxlength: 100,
		check: text => text ? null : 'Give a name that says who uses the token.'});
	const scope = scopeField();
	const days = choice({name: 'days', label: 'Valid for', options: lives, value: '90'});
	show(page, 'Make token', form({fields: [name, scope, days], submit: 'Make token', also: [link('Back to people', '#/people', {class: 'button'})],
		send: async () => {
			made = await post('tokens', {name: name.value, scope: scope.value, ...(days.value ? {days: Number(days.value)} : {})});
			go('#/people');
		}}));
}

export function tokenNotice(draw) {
	if (!made)
		return null;
	const close = () => {
		made = null;
		draw();
	};
	return notice('ok', [h('p', {}, h('b', {}, `The token ${made.name}`), ' is shown only now. Keep it where its script finds it.'),
		h('p', {class: 'secret'}, mono(made.token), ' ', copy('token', made.token))], {close, key: 'token'});
}
