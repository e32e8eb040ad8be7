/* #/tasks/ID: one task with its steps, and how it ended. */
import {h} from '../h.js';
import {get, segment} from '../api.js';
import {time, words} from '../time.js';
import {band, columns, facts, link, mono, section} from '../parts.js';
import {failedSection} from './failed.js';
import {taskWord} from './site-view.js';
import {STAGES, duration, isRunning, runningFor, sayStep, stageOf, stepsPicture, subject} from './steps.js';

const shownArguments = {DnsName: 'Name', DnsNames: 'Names', EmailAddress: 'E-mail', IPAddress: 'IP address', Port: 'Port', Issuer: 'CA', Reason: 'Reason'};

function nameOf(task, certificate) {
	return certificate?.names[0] ?? task.Arguments?.DnsName ?? task.Description;
}

function readouts(task, steps) {
	const last = steps.at(-1);
	const span = isRunning(task) || last?.took == null ? duration(runningFor(task)) : duration(last.ms + last.took);
	if (isRunning(task))
		return [{label: 'State', state: 'working', value: taskWord(task), lines: [`Step ${stageOf(steps)} of ${STAGES}`]}, {label: 'Running', value: span},
			{label: 'Begun', value: time(task.QueueTime, 'clock'), lines: [words(task.QueueTime)]}, {label: 'For you to do', value: 'Nothing', lines: ['It goes on if you close this page']}];
	const [lamp, word] = task.FinishedSuccessfully ? ['ok', 'Done'] : task.State === 'Canceled' ? ['off', 'Stopped'] : ['problem', 'Failed'];
	return [{label: 'State', state: lamp, value: word, lines: [task.FinishedSuccessfully ? null : `at step ${stageOf(steps)} of ${STAGES}`]}, {label: 'It took', value: span},
		{label: 'Begun', value: time(task.QueueTime, 'near'), lines: [words(task.QueueTime, 'exact')]},
		{label: 'Ended', value: task.CompletedTime ? time(task.CompletedTime, 'near') : '', lines: [task.CompletedTime ? words(task.CompletedTime, 'exact') : null]}];
}

function asked(task, name) {
	const given = task.Arguments ?? {}, doubled = given.DnsNames?.length > 1 ? 'DnsName' : 'DnsNames';
	const rows = Object.entries(given).filter(([key, v]) => shownArguments[key] && key !== doubled && v !== null && v !== '')
		.map(([key, v]) => [shownArguments[key], mono(Array.isArray(v) ? v.join(', ') : String(v))]);
	return section('What was asked', facts([['Task', task.Description], ...rows, ['Site', link(name, `#/sites/${encodeURIComponent(name)}`)]]));
}

export function view(page, id) {
	let details = null, certificate = null;
	page.title(`Task ${id}`);

	function draw() {
		const {Task: task, Steps: steps, Error: error} = details, name = nameOf(task, certificate);
		page.title(`${subject(task)} of ${task.Unicode ?? name}`);
		page.draw(band({path: [['Activity'], ['Tasks', '#/tasks'], [subject(task)]],
			subject: task.Unicode ? [task.Unicode, h('small', {}, ` ${name}`)] : name, mono: !task.Unicode,
			readouts: readouts(task, steps), picture: stepsPicture(task, steps)}),
		columns([error && !isRunning(task) ? failedSection({task, steps, error, name, again: null}) : asked(task, name)],
			[error && !isRunning(task) ? asked(task, name) : null]));
	}

	const reload = () => page.load('the task', async signal => {
		const found = await get(`tasks/${segment(id)}/details`, {}, signal);
		certificate = found.Task.About ? await get(`certificates/${segment(found.Task.About)}`, {}, signal).catch(error => {
			if (error.status === 404)
				return null;
			throw error;
		}) : null;
		return found;
	}, found => { details = found; draw(); });

	page.on('task', fresh => {
		if (fresh.Task.Id !== id || !details)
			return;
		details = fresh;
		sayStep(details.Task, details.Steps);
		draw();
	});
	page.on('snapshot', () => details && reload());
	page.every(1000, () => details && isRunning(details.Task) && draw());
	return reload();
}
