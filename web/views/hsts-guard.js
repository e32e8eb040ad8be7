/* What would lock visitors out while browsers remember HSTS is refused by the server until the name is
 * typed. One guard belongs to one form or dialog:
 *
 *   const guard = hstsGuard();      guard.typed: a field, hidden until it is asked for
 *   guard.ask(name, until)          asks for the name from the start; until: how long browsers remember,
 *                                   null if the name is asked for another reason
 *   guard.pass(name, given => …)    calls with {} or {despite_hsts: …}; a refusal for HSTS' sake shows
 *                                   the field, and is thrown on as this field's error. name: what is to
 *                                   be typed, unless the refusal names names
 *   guard.withdraw()                hides it: another name is meant now */
import {update} from '../h.js';
import {field} from '../form.js';
import {time} from '../time.js';

export function hstsGuard() {
	let wanted = '', promised = null;
	const typed = field({name: 'despite_hsts', kind: 'field-guard', label: 'Type the name to go on', hint: ' ', mono: true, autocomplete: 'off', autocapitalize: 'none',
		repair: text => text.trim().toLowerCase().replace(/\s+/g, ' '), check: text => typed.root.hidden || text === wanted ? null : `Type ${wanted} to go on.`});
	typed.root.hidden = true;

	function ask(name, until) {
		wanted = name;
		promised = until;
		update(typed.root.querySelector('.label'), `Type ${name} to go on`);
		typed.describe(until ? ['Browsers refuse plain HTTP for this name until ', time(until, 'moment'),
			': without a certificate that they trust they let nobody in.'] : '');
		typed.root.hidden = false;
	}

	async function pass(name, send) {
		try {
			return await send(promised ? {despite_hsts: typed.value} : {});
		} catch (error) {
			if (error.code !== 'hsts')
				throw error;
			ask(error.details.names?.join(' ') ?? name, error.details.hsts_until);
			typed.describe(''); // the error says it
			error.remedy = `Switch HSTS off and wait until then, or type ${wanted} to go on.`;
			error.details.field = typed.name;
			throw error;
		}
	}

	function withdraw() {
		typed.root.hidden = true;
		typed.value = '';
		promised = null;
	}

	return {typed, ask, pass, withdraw};
}
