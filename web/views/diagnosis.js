/* What could stop a name from being issued for or served, and the fix. It advises and stops nothing.
 * #/diagnosis/NAME runs at once; a run of the last ten minutes is shown again instead. */
import {h} from '../h.js';
import {del, get, post, segment} from '../api.js';
import {go} from '../router.js';
import {band, button, copy, failure, notice, paper, readoutList, tellAll} from '../parts.js';
import {now, words} from '../time.js';
import {count} from './shared.js';
import {findings, order, report, tally} from './findings.js';

const FRESH = 10 * 60 * 1000, ASK_EVERY = 2000;
const runs = new Map(); // name → the last run as the server told it

function seconds(ms) {
	return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function outcome({outcome: out, findings: all, done}) {
	const label = 'If registered now', stop = all.find(f => f.stops);
	if (!done)
		return {label, state: 'working', value: 'Looking', lines: ['It takes 25 s at most']};
	if (out === 'fail')
		return {label, state: 'problem', value: 'Would fail', lines: [stop ? stop.what : null]};
	return {label, state: 'ok', value: 'Would pass', lines: ['as far as it can be seen from here']};
}

function toDo({findings: all, done}) {
	const label = 'For you to do', fixes = all.filter(f => f.fix && (f.state === 'problem' || f.state === 'warning')).sort(order);
	if (!done && !fixes.length)
		return {label, value: 'Wait', lines: ['It goes on if you close this page']};
	if (!fixes.length)
		return {label, value: 'Nothing'};
	return {label, value: count(fixes.length, 'thing', 'things'), lines: [fixes[0].what, fixes.length > 1 ? 'and more; see below' : 'see below']};
}

function readouts(run) {
	const {at, ms, done, findings: all} = run;
	return [outcome(run),
		{label: 'Findings', value: String(all.length), lines: [tally(all)]},
		{label: 'Run', value: done ? `${words(at, 'clock')}, in ${seconds(ms)}` : `${words(at, 'clock')}, for ${Math.round((now() - Date.parse(at)) / 1000)} s`},
		toDo(run)];
}

function nameForm(typed, run, act) {
	const input = h('input', {id: 'name', name: 'name', class: 'mono', value: typed, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none'});
	return h('form', {class: 'ask-name', novalidate: true, onsubmit: event => {
		event.preventDefault();
		act(document.getElementById('name').value.trim());
	}}, h('label', {for: 'name'}, 'Name'), h('div', {class: 'row'}, input,
		h('button', {type: 'submit'}, 'Diagnose'),
		run && !run.done ? button('Stop', run.stop) : null,
		run?.done ? copy('the report', report(run), 'Copy report') : null));
}

function intro() {
	return h('p', {class: 'hint after'}, 'Give a DNS name, registered here or not yet. Everseal looks at it as a CA would: DNS, each of its addresses, redirects, CAA, limits, clock. It changes nothing.');
}

export function view(page, name = '') {
	let run = runs.get(name) ?? null, error = null;
	const isFresh = run?.done && now() - Date.parse(run.at) < FRESH;

	function draw() {
		const title = name ? `Diagnosis of ${name}` : 'Diagnosis';
		page.title(title);
		page.draw(
			band({path: [['Diagnosis']], picture: h('div', {key: 'ask'}, nameForm(name, run && {...run, stop}, begin)),
				below: [error ? h('div', {key: 'error'}, wrong()) : null, run ? readoutList(readouts(run)) : null]}),
			paper(run ? findings(run) : intro()));
	}

	function wrong() {
		const {offered} = error.details ?? {};
		return offered ? notice('problem', [h('p', {}, error.sentence), button(`Use ${offered}`, () => begin(offered), {small: true})]) : failure(error, () => start());
	}

	function begin(typed) {
		if (typed && typed !== name)
			go(`#/diagnosis/${segment(typed)}`);
		else if (typed)
			start();
		else
			document.getElementById('name').focus();
	}

	async function start() {
		error = null;
		try {
			const {id} = await post('diagnosis', {name}, page.signal);
			look(await get(`diagnosis/${id}`, {}, page.signal));
		} catch (failed) {
			if (!failed.sentence)
				throw failed;
			if (failed.code !== 'aborted')
				error = failed;
		}
		draw();
	}

	function look(told) {
		const ended = told.done && !run?.done;
		run = told;
		runs.set(name, told);
		if (ended)
			tellAll(told.sentence ?? 'The diagnosis is done.');
		draw();
	}

	async function stop() {
		await del(`diagnosis/${run.id}`).catch(() => {}); // it ends by itself within 25 s
		run = {...run, done: true, sentence: 'Stopped.'};
		runs.delete(name);
		draw();
	}

	async function again() {
		if (!run || run.done)
			return;
		const {id} = run;
		const told = await get(`diagnosis/${id}`, {}, page.signal).catch(() => null);
		if (told && run.id === id && !run.done)
			look(told);
	}

	page.on('diagnosis', told => run && told.id === run.id && !run.done && look(told));
	page.every(ASK_EVERY, again); // should the stream of events be down
	draw();
	if (name && !isFresh)
		start();
}
