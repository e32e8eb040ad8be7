/* What cannot simply be undone: revoke, disable, remove. The name stands in title and button; the safe
 * button has the focus. */
import {h} from '../h.js';
import {ApiError, del, post, segment} from '../api.js';
import {time} from '../time.js';
import {ask} from '../parts.js';
import {choice} from '../form.js';
import {hstsGuard} from './hsts-guard.js';

/* The field says it, instead of the dialog's foot. */
function tellAt(typed, text) {
	typed.fail(text);
	typed.input.focus();
	throw new ApiError(0, {code: 'told', message: text});
}

function demand(typed) {
	const wrong = typed.check();
	if (wrong)
		tellAt(typed, wrong);
}

async function insist(site, guard, run) {
	demand(guard.typed);
	try {
		return await guard.pass(site.name, run);
	} catch (error) {
		if (error.code === 'hsts')
			tellAt(guard.typed, error.sentence);
		throw error;
	}
}

function guarded(site, {title, act, words, run}) {
	const guard = hstsGuard();
	if (site.hsts_promised_until)
		guard.ask(site.name, site.hsts_promised_until);
	return ask({title, act, danger: true, safe: 'Keep it', body: [h('p', {}, words), guard.typed.root],
		run: () => insist(site, guard, run)});
}

export function disable(site) {
	return guarded(site, {title: `Disable renewal of ${site.name}?`, act: `Disable ${site.name}`,
		words: ['The certificate stays in use', site.certificate.not_after ? [' and expires ', time(site.certificate.not_after, 'moment')] : null, '. Registering the name again puts it back.'],
		run: given => post(`certificates/${segment(site.certificate.id)}/disable`, given)});
}

export function remove(site) {
	return guarded(site, {title: `Remove ${site.name}?`, act: `Remove ${site.name}`,
		words: ['Visitors can no longer reach it.', site.certificate ? ' The certificate is kept.' : null],
		run: given => del(`sites/${segment(site.name)}`, given)});
}

const reasons = [['unspecified', 'No reason given'], ['keyCompromise', 'The key may be known to others'], ['affiliationChanged', 'The name belongs to somebody else now'],
	['superseded', 'Another certificate took its place'], ['cessationOfOperation', 'The site is given up']];

/* Resolves with the task's id, or null. */
export async function revoke(site) {
	const guard = hstsGuard();
	const ends = ['disabled', 'retired'].includes(site.certificate.state); // no new one comes
	guard.ask(site.name, ends ? site.hsts_promised_until : null);
	const reason = choice({name: 'reason', label: 'Reason', options: reasons, value: 'unspecified'});
	let task = null;
	await ask({title: `Revoke the certificate of ${site.name}?`, act: `Revoke ${site.name}`, danger: true, safe: 'Keep it',
		body: [h('p', {}, ends ? 'Browsers may refuse it from then on, and no new one is ordered: this name is no longer renewed. Revocation cannot be undone.'
			: 'A new certificate is ordered first, then this one revoked. Revocation cannot be undone.'), reason.root, guard.typed.root],
		run: () => insist(site, guard, async given => {
			task = (await post(`certificates/${segment(site.certificate.id)}/revoke`, {reason: reason.value, name: guard.typed.value, ...given})).task;
		})});
	return task;
}
