/* What is done with all chosen sites at once: a bar that stays at the window's foot, what the CA's
 * limits make of it, and what came of it. */
import {h} from '../h.js';
import {get, post, segment} from '../api.js';
import {ask, button, link, notice, tellAll} from '../parts.js';
import {now, span, words} from '../time.js';
import {count} from './shared.js';

const AT_ONCE = 4, PAGE = 200, NAMED = 8;

/* The limit on orders of that CA: {used, most, seconds, next}; null: none is known. */
async function orderLimit(issuer, name) {
	try {
		const {limits} = await get(`issuers/${segment(issuer)}/limits`, {name});
		return limits.find(({limit}) => /order/.test(limit)) ?? null;
	} catch {
		return null;
	}
}

/* Room for one more comes back each seconds / most. */
export function budgetWords(n, limit) {
	const orders = `${count(n, 'certificate', 'certificates')} to order`;
	if (!limit)
		return `${orders}.`;
	const {most, used, seconds} = limit, waiting = Math.max(0, n - Math.max(0, most - used));
	const when = waiting ? `done about ${words(now() + waiting * seconds * 1000 / most, 'near')}` : 'all can begin now';
	return `${orders}; the limits allow ${most.toLocaleString('en')} in ${span(seconds * 1000)}, ${used} used: ${when}.`;
}

/* Calls act for each, a few at a time; what was refused comes back with its sentence. */
async function forEach(items, act, tell) {
	const refused = [], queue = [...items];
	let done = 0;
	const work = async () => {
		for (let item = queue.shift(); item; item = queue.shift()) {
			await act(item).catch(error => {
				if (!error.sentence)
					throw error;
				refused.push({item, sentence: error.code === 'hsts' ? `${error.message} Open it to disable it: its name has to be typed.` : error.sentence});
			});
			tell(++done);
		}
	};
	await Promise.all(Array.from({length: AT_ONCE}, work));
	return refused;
}

function names(sites) {
	const rest = sites.length - NAMED;
	return h('ul', {class: 'names mono'}, sites.slice(0, NAMED).map(site => h('li', {}, site.name)),
		rest > 0 ? h('li', {}, `and ${rest.toLocaleString('en')} more`) : null);
}

export function bulk(page, sites, draw) {
	const limits = new Map(); // issuer → limit, asked once
	let progress = '', result = null, choosing = null;

	const chosen = () => [...sites.chosen.values()];
	const renewable = () => chosen().filter(site => site.certificate);
	const stoppable = () => chosen().filter(site => site.certificate && site.state !== 'off');

	function limitOf(some) {
		const issuers = new Set(some.map(site => site.issuer));
		const [issuer] = issuers;
		if (issuers.size !== 1 || !issuer)
			return null;
		if (!limits.has(issuer)) {
			limits.set(issuer, null);
			orderLimit(issuer, some[0].name).then(limit => {
				limits.set(issuer, limit);
				draw();
			});
		}
		return limits.get(issuer);
	}

	async function run(what, done, some, path) {
		result = null;
		const tell = n => {
			progress = `${what} ${n} of ${some.length}`;
			draw();
		};
		const refused = await forEach(some, ({certificate}) => post(`certificates/${segment(certificate.id)}/${path}`), tell);
		progress = '';
		result = {done: `${count(some.length - refused.length, 'site', 'sites')} ${done}.`, refused};
		sites.chosen.clear();
		tellAll(result.done);
		draw();
	}

	/* The bar is gone with what was chosen: the focus goes to what came of it. */
	function lookAtResult() {
		document.querySelector('.told button')?.focus();
	}

	function renew() {
		return run('Renewing', 'being renewed', renewable(), 'renew').then(lookAtResult);
	}

	function disable() {
		const some = stoppable(), n = count(some.length, 'site', 'sites');
		return ask({title: `Disable ${n}?`, safe: some.length === 1 ? 'Keep it' : 'Keep them', act: `Disable ${n}`, danger: true,
			body: [names(some), h('p', {}, 'Their certificates are not renewed any more and stay in use until they expire. It can be undone by registering again.')],
			run: () => {}}).then(sure => sure && run('Disabling', 'disabled', some, 'disable').then(lookAtResult));
	}

	async function chooseAll() {
		choosing = new AbortController();
		let cursor = null;
		try {
			do {
				const answer = await get('sites', {...sites.query(), limit: PAGE, cursor}, choosing.signal);
				for (const site of answer.items)
					sites.chosen.set(site.name, site);
				cursor = answer.next;
				draw();
			} while (cursor && !page.signal.aborted);
		} catch (error) {
			if (!error.sentence)
				throw error;
			if (error.code !== 'aborted')
				result = {done: '', refused: [{item: {name: 'Choosing'}, sentence: error.sentence}]};
		}
		choosing = null;
		draw();
	}

	function chooseNone() {
		choosing?.abort();
		sites.chosen.clear();
		draw();
		document.querySelector('th.pick input')?.focus();
	}

	function told() {
		if (!result)
			return null;
		const {done, refused} = result;
		return h('div', {class: 'told', key: 'told'}, notice(refused.length ? 'warning' : 'ok', [done ? h('p', {}, done) : null,
			refused.length ? h('ul', {class: 'refused'}, refused.slice(0, NAMED).map(({item, sentence}) =>
				h('li', {}, link(item.name, `#/sites/${segment(item.name)}`, {class: 'mono'}), ' ', sentence))) : null,
			refused.length > NAMED ? h('p', {}, `and ${refused.length - NAMED} more.`) : null],
		{close: () => { result = null; draw(); }}));
	}

	function choice() {
		return h('div', {class: 'words'},
			h('p', {role: 'status'}, h('b', {}, `${sites.chosen.size.toLocaleString('en')} of ${sites.total.toLocaleString('en')} chosen`)),
			sites.chosen.size < sites.total
				? button(choosing ? 'Stop' : `Choose all ${sites.total.toLocaleString('en')}`, choosing ? () => choosing.abort() : chooseAll, {kind: 'plain'}) : null,
			button('Choose none', chooseNone, {kind: 'plain'}),
			h('p', {class: 'hint'}, progress || (renewable().length ? budgetWords(renewable().length, limitOf(renewable())) : 'None of them has been registered.')));
	}

	function bar() {
		if (!sites.chosen.size)
			return null;
		const all = chosen(), stop = stoppable().length, again = renewable().length;
		return h('section', {class: 'bulk', key: 'bulk', 'aria-label': 'Chosen sites'}, h('div', {class: 'within'}, choice(),
			h('div', {class: 'actions'},
				again ? button(`Renew ${again}`, renew, {filled: true}) : null,
				all.length === 1 && !all[0].fallback ? link('Diagnose', `#/diagnosis/${segment(all[0].name)}`, {class: 'button'}) : null,
				stop ? button(`Disable ${stop}`, disable) : null)));
	}

	return {bar, told};
}
