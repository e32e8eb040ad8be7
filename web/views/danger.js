/* What cannot simply be undone: revoke, disable, remove. The name stands in title and button; the safe
 * button has the focus. */
import {h} from '../h.js';
import {ApiError, del, post, segment} from '../api.js';
import {time} from '../time.js';
import {ask} from '../parts.js';
import {choice, field} from '../form.js';

function typedName(name, label) {
	return field({name: 'typed', label, mono: true, autocomplete: 'off', repair: text => text.trim().toLowerCase()});
}

function demand(typed, name) {
	if (typed.value === name)
		return;
	typed.fail(`Type ${name}.`);
	typed.input.focus();
	throw new ApiError(0, {code: 'told', message: `The name is not ${name}.`});
}

/* Browsers that were promised HTTPS are shut out: the name has to be typed. */
function hstsGuard(site) {
	const typed = typedName(site.name, `Type ${site.name}`);
	return {typed, body: [h('p', {}, 'Browsers refuse plain HTTP for this name until ', time(site.hsts_promised_until, 'moment'),
		': without a valid certificate they let nobody in.'), typed.root]};
}

function guarded(site, {title, act, words, run}) {
	const guard = site.hsts_promised_until ? hstsGuard(site) : null;
	return ask({title, act, danger: true, safe: 'Keep it', body: [h('p', {}, words), guard?.body],
		run: () => {
			if (guard)
				demand(guard.typed, site.name);
			return run(guard ? site.name : undefined);
		}});
}

export function disable(site) {
	return guarded(site, {title: `Disable renewal of ${site.name}?`, act: `Disable ${site.name}`,
		words: ['The certificate stays in use', site.certificate.not_after ? [' and expires ', time(site.certificate.not_after, 'moment')] : null, '. Registering the name again puts it back.'],
		run: despite => post(`certificates/${segment(site.certificate.id)}/disable`, despite ? {despite_hsts: despite} : {})});
}

export function remove(site) {
	return guarded(site, {title: `Remove ${site.name}?`, act: `Remove ${site.name}`,
		words: 'Visitors can no longer reach it. The certificate is kept.',
		run: despite => del(`sites/${segment(site.name)}`, despite ? {despite_hsts: despite} : {})});
}

const reasons = [['unspecified', 'No reason given'], ['keyCompromise', 'The key may be known to others'], ['affiliationChanged', 'The name belongs to somebody else now'],
	['superseded', 'Another certificate took its place'], ['cessationOfOperation', 'The site is given up']];

/* Resolves with the task's id, or null. */
export async function revoke(site) {
	const typed = typedName(site.name, `Type ${site.name}`);
	const reason = choice({name: 'reason', label: 'Reason', options: reasons, value: 'unspecified'});
	let task = null;
	await ask({title: `Revoke the certificate of ${site.name}?`, act: `Revoke ${site.name}`, danger: true, safe: 'Keep it',
		body: [h('p', {}, 'A new certificate is ordered first, then this one revoked. Revocation cannot be undone.'), reason.root, typed.root],
		run: async () => {
			demand(typed, site.name);
			task = (await post(`certificates/${segment(site.certificate.id)}/revoke`, {reason: reason.value, name: typed.value})).task;
		}});
	return task;
}
