/* Adding somebody who is told, and changing that. What is secret is typed here and never shown again:
 * left empty, it stays as it is. */
import {h, update} from '../h.js';
import {del, get, post, put, segment} from '../api.js';
import {choice, field, form} from '../form.js';
import {go} from '../router.js';
import {ask, band, button, link, noPermission, notice, paper} from '../parts.js';
import {passwordField} from './sign-in.js';
import {slot} from './shared.js';

export const levels = {info: 'of everything', warning: 'of what does not go well', problem: 'of what visitors notice'};
const ways = [['mail', 'E-mail'], ['webhook', 'Webhook']];
const kept = 'Kept unless you type another one.';

const unless = (target, text, sentence) => text || target ? null : sentence;

function secretField(options) {
	return passwordField({autocomplete: 'new-password', maxlength: 1000, ...options});
}

function makeFields(target) {
	const needed = sentence => text => unless(target, text, sentence);
	const mail = [
		field({name: 'to', label: 'E-mail address', value: target?.to ?? '', autocomplete: 'off', autocapitalize: 'none', maxlength: 320,
			hint: 'Who is told.', check: needed('Give the e-mail address of who is told.')}),
		field({name: 'server', label: 'Mail server', mono: true, value: target?.server ?? '', autocomplete: 'off',
			hint: 'smtps://mail.example.com, or smtp:// before it where TLS begins by STARTTLS. This machine has to trust its certificate.',
			check: needed('Give the mail server, such as smtps://mail.example.com.')}),
		field({name: 'from', label: 'Sender', value: target?.from ?? '', autocomplete: 'off', autocapitalize: 'none', maxlength: 320,
			hint: 'The address that messages come from: your mail server has to allow it.', check: needed('Give the e-mail address that messages come from.')}),
		field({name: 'user', label: 'User', mono: true, value: target?.user ?? '', autocomplete: 'off', maxlength: 1000,
			hint: 'Empty if the mail server asks for none.'}),
		secretField({name: 'password', label: 'Password', hint: target?.password ? `${kept} Another mail server needs it typed again.` : 'Of that user. It is kept sealed.'}),
	];
	const webhook = [
		field({name: 'to', label: 'URL', mono: true, type: 'url', autocomplete: 'off', maxlength: 2000,
			hint: target ? `Of ${target.target.replace('webhook ', '')}. ${kept}` : 'Called by POST with JSON, by https. It may hold a token: only its host is shown again.',
			check: needed("Give the webhook's URL, such as https://hooks.example.com/alerts.")}),
		secretField({name: 'secret', label: 'Secret', hint: target ? kept : 'The receiver knows it, too: each message is signed with it. It is kept sealed.',
			check: needed('Give a secret that the receiver knows, too.')}),
	];
	return {mail, webhook};
}

/* Nothing that stays as it is is sent, but the user, which may be taken away. */
function said(fields, target) {
	return Object.fromEntries(fields.map(({name, value}) => [name, value])
		.filter(([name, value]) => value || (name === 'user' && target)));
}

function conflictNotice(current, act) {
	const lines = [['level', `told ${levels[current.level]}`], ['to', current.to], ['server', current.server], ['from', current.from], ['user', current.user]]
		.filter(([, value]) => value).map(([, value]) => value);
	return notice('warning', [h('p', {}, `${current.target} was changed meanwhile: ${lines.join(', ')}.`),
		h('div', {class: 'actions'}, button('Use what is there', () => go('#/alerts'), {small: true}), button('Keep what is here', act, {small: true}))]);
}

let added = null; // who was added last, until that is closed

export function addedNotice(draw, test) {
	if (!added)
		return null;
	const target = added;
	const close = () => {
		added = null;
		draw();
	};
	return notice('ok', [h('p', {}, h('b', {}, target), ' is told from now on. Whether messages arrive, a test tells.'),
		test ? h('div', {class: 'actions'}, button('Send it a test', () => { close(); test(target); }, {small: true})) : null], {close, key: 'added'});
}

function makeForm(page, target) {
	const fields = makeFields(target), meanwhile = h('div', {}), place = h('div', {});
	const way = choice({name: 'way', label: 'Told by', options: ways, value: target?.way ?? 'mail',
		hint: 'A program is named in the configuration file alone, since it runs on this machine.'});
	const level = choice({name: 'level', label: 'Told', options: Object.entries(levels).map(([value, words]) => [value, words[0].toUpperCase() + words.slice(1)]),
		value: target?.level ?? 'warning'});
	const asked = () => fields[target?.way ?? way.value];
	let version = target?.version;

	async function send() {
		const wanted = {...said(asked(), target), level: level.value};
		if (target) {
			await put(`notify/targets/${segment(target.id)}`, {...wanted, version});
		} else {
			const made = await post('notify/targets', {...wanted, way: way.value});
			added = made.target;
		}
		go('#/alerts');
	}

	function showWay() {
		[...fields.mail, ...fields.webhook].forEach(f => f.clear());
		place.replaceChildren(...asked().map(f => f.root));
	}
	way.input.addEventListener('change', showWay);
	showWay();
	return form({
		fields: [...(target ? [] : [way]), ...fields.mail, ...fields.webhook, level], submit: target ? 'Save' : 'Add alert', kind: 'configure',
		also: [link(target ? 'Keep it as it was' : 'Back to the alerts', '#/alerts', {class: 'button'})],
		children: [meanwhile, target ? null : way.root, place, level.root],
		send: () => send().catch(error => {
			if (error.code !== 'conflict' || !error.details.current)
				throw error;
			update(meanwhile, conflictNotice(error.details.current, () => {
				({version} = error.details);
				update(meanwhile);
				level.input.focus();
			}));
			meanwhile.querySelector('button').focus();
		}),
	});
}

export function removeTarget({id, target}) {
	return ask({title: `Remove ${target}?`, safe: 'Keep it', act: `Remove ${target}`, danger: true,
		body: [h('p', {}, 'It is told nothing any more; messages that wait for it are dropped.')],
		run: () => del(`notify/targets/${segment(id)}`)});
}

function draw(page, target) {
	page.title(target ? `Edit ${target.target}` : 'Add alert');
	page.draw(band({path: [['Configuration'], ['Alerts', '#/alerts'], [target ? 'Edit' : 'Add']], subject: target?.target ?? 'Tell somebody',
		actions: [target ? button('Remove …', () => removeTarget(target).then(done => done && go('#/alerts'))) : null]}),
	paper(h('div', {class: 'narrow-form'}, page.may('administer') ? slot('form', makeForm(page, target).root)
		: h('div', {class: 'stack'}, noPermission(page.session.scope)))));
}

/* id: of the target to change; null: a new one. */
export function targetForm(page, id) {
	if (id === null || !page.may('administer'))
		return draw(page, null);
	page.title('Edit alert');
	page.load('the alert', signal => get(`notify/targets/${segment(id)}`, {}, signal), target => draw(page, target));
}
