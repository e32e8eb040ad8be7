/* The steps of a task: what was done, what is under way, what is to come.
 *
 *   stepsPicture(task, steps)    with bars and needle on one scale
 *   stepsShort(task, steps)      a plain list with the seconds that each took
 *   stageOf(steps) → 4; STAGES   runningFor(task) ms, or how long it took
 *   duration(ms) "6.4 s"   isRunning(task)   subject(task) "Renewal"   sayStep(task, steps) tells a new step to screen readers */
import {h, icon} from '../h.js';
import {now, span} from '../time.js';
import {tellAll} from '../parts.js';

const stages = [
	[['directory'], "Reach Let's Encrypt"],
	[['account', 'account-key'], 'Account'],
	[['order'], 'Order the certificate'],
	[['authz', 'answer', 'await'], 'Prove control of the names'],
	[['finalize', 'download'], 'Collect the certificate'],
	[['bind'], 'Bind the certificate'],
	[['see'], 'See it over HTTPS'],
];
export const STAGES = stages.length;

const stageNumber = step => stages.findIndex(([names]) => names.includes(step.step));

export function stageOf(steps) {
	return Math.max(1, ...steps.map(step => stageNumber(step) + 1));
}

export const isRunning = task => task.State === 'Queued' || task.State === 'Executing';

const subjects = {ConfigureLetsEncrypt: 'Registration', RenewLetsEncrypt: 'Renewal', RevokeLetsEncrypt: 'Revocation'};
export const subject = task => subjects[task.Name] ?? task.Description;

export function runningFor(task) {
	const end = task.CompletedTime ? Date.parse(task.CompletedTime) : now();
	return Math.max(0, end - Date.parse(task.QueueTime));
}

const isLast = (steps, i) => i === steps.length - 1;

function stepState(task, steps, i) {
	if (steps[i].took !== null && !isLast(steps, i))
		return 'ok';
	if (isRunning(task))
		return steps[i].took === null ? 'working' : 'ok';
	return task.FinishedSuccessfully || !isLast(steps, i) ? 'ok' : 'problem';
}

function took(task, step) {
	return step.took ?? Math.max(0, runningFor(task) - step.ms);
}

export function duration(ms) {
	return ms >= 100000 ? span(ms) : `${(ms / 1000).toFixed(1)} s`;
}

/* "Prove control of shop.example.com: token fetched from 3 places: …" has its detail after the first colon. */
function stepWords(step, state) {
	const at = step.text.indexOf(': ');
	const [title, rest] = at < 0 ? [step.text, null] : [step.text.slice(0, at), step.text.slice(at + 2)];
	const detail = rest?.replace(/^Waiting ([\d.]+) s\b/i, (_, seconds) => `Waiting ${span(1000 * seconds)}`);
	return h('div', {class: 'words'}, icon(state, `is-${state}`), h('div', {}, h('b', {}, title),
		state === 'problem' ? h('span', {class: 'failed-word'}, ' failed') : null,
		h('span', {class: 'unseen'}, state === 'ok' ? ', done' : state === 'working' ? ', under way' : ''),
		detail ? h('small', {}, detail[0].toUpperCase() + detail.slice(1)) : null));
}

function toCome(task, steps) {
	if (task.FinishedSuccessfully || task.Name === 'RevokeLetsEncrypt')
		return [];
	const reached = steps.length ? stageOf(steps) : 0;
	return stages.slice(reached).map(([, text]) => text);
}

const lengths = [[1, 'Seconds'], [60, 'Minutes'], [3600, 'Hours'], [86400, 'Days']];

/* At most seven marks; in the unit that their numbers are short in. */
function niceScale(ms) {
	const wanted = Math.max(4000, ms * 1.25) / 1000;
	const [length, name] = lengths.findLast(([s]) => wanted >= 2 * s) ?? lengths[0];
	const unit = length * ([1, 2, 5, 10, 20, 30, 60].find(u => wanted / length / u <= 6) ?? Math.ceil(wanted / length / 6));
	return {unit, length, name, most: Math.ceil(wanted / unit) * unit};
}

const percent = part => `${Math.min(100, 100 * part).toFixed(2)}%`;

function bar(task, steps, i, most) {
	const state = stepState(task, steps, i);
	const kind = {working: 'bar running', problem: 'bar failed', ok: 'bar'}[state];
	return h('span', {class: kind, style: {left: percent(steps[i].ms / 1000 / most), width: percent(took(task, steps[i]) / 1000 / most)}});
}

export function stepsPicture(task, steps) {
	const {unit, length, name, most} = niceScale(runningFor(task));
	const marks = Array.from({length: most / unit + 1}, (_, i) => i * unit);
	const track = inside => h('div', {class: 'track', 'aria-hidden': 'true', style: {backgroundSize: `${100 * unit / most}% 100%`}}, inside);
	return h('div', {class: 'steps'},
		h('div', {class: 'steps-head', 'aria-hidden': 'true'}, h('span', {}, 'Step'),
			h('div', {class: 'scale'}, marks.map(at => h('span', {style: {left: percent(at / most)}}, String(at / length)))),
			h('span', {}, name)),
		h('ol', {}, steps.map((step, i) => {
			const state = stepState(task, steps, i);
			return h('li', {key: `${step.step} ${step.subject} ${step.ms}`, 'aria-current': state === 'working' ? 'step' : null},
				stepWords(step, state), track(bar(task, steps, i, most)),
				h('span', {class: `took is-${state === 'ok' ? 'off' : state}`}, duration(took(task, step))));
		}), toCome(task, steps).map(text => h('li', {key: text, class: 'waiting-step'},
			h('div', {class: 'words'}, icon('coming'), h('div', {}, text, h('span', {class: 'unseen'}, isRunning(task) ? ', to come' : ', not reached'))),
			track(null), h('span', {class: 'took'})))),
		isRunning(task) ? h('div', {class: 'needle-place', 'aria-hidden': 'true'},
			h('span', {class: 'needle-line', style: {left: percent(runningFor(task) / 1000 / most)}})) : null);
}

export function stepsShort(task, steps) {
	return h('div', {class: 'steps short'}, h('ol', {}, steps.map((step, i) => {
		const state = stepState(task, steps, i);
		return h('li', {'aria-current': state === 'working' ? 'step' : null}, stepWords(step, state),
			h('span', {class: 'took'}, duration(took(task, step))));
	}), toCome(task, steps).map(text => h('li', {class: 'waiting-step'},
		h('div', {class: 'words'}, icon('coming'), h('div', {}, text)), h('span', {class: 'took'}, isRunning(task) ? '' : 'not reached')))));
}

let said = '';

export function sayStep(task, steps) {
	const last = steps.at(-1);
	const text = isRunning(task) ? (last?.text ?? '').split(': ')[0]
		: task.FinishedSuccessfully ? `${subject(task)} done` : `${subject(task)} failed. ${task.ErrorMessage ?? ''}`;
	const key = `${task.Id} ${text}`;
	if (text && key !== said)
		tellAll(text);
	said = key;
}
