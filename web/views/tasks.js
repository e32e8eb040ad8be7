/* What was done about certificates: each task leads to its steps. */
import {h} from '../h.js';
import {segment} from '../api.js';
import {list} from '../table.js';
import {band, link, paper, state} from '../parts.js';
import {now, span} from '../time.js';
import {count, exactSwitch, rowTime, taskTook} from './shared.js';

const kinds = {ConfigureLetsEncrypt: 'Registration', RenewLetsEncrypt: 'Renewal', RevokeLetsEncrypt: 'Revocation'};
const lamps = {Queued: 'working', Executing: 'working', Success: 'ok', Failed: 'problem', Canceled: 'off'};
const stateWords = {Queued: 'Waiting', Executing: 'Working', Success: 'OK', Failed: 'Failed', Canceled: 'Stopped'};

/* The names that a task is for; a renewal's and a revocation's arguments name one. */
function namesOf({Arguments: given}) {
	return [given.DnsNames ?? given.DnsName ?? []].flat();
}

function nameCell(task) {
	const names = namesOf(task), text = task.Unicode ?? names[0] ?? task.About;
	return [link(text, `#/tasks/${segment(task.Id)}`, {class: 'mono'}),
		task.Unicode ? [' ', h('span', {class: 'hint mono'}, names[0])] : null,
		names.length > 1 ? h('span', {class: 'hint'}, ` +${names.length - 1}`) : null];
}

function tookCell(task) {
	const {StartTime: began, CompletedTime: ended} = task;
	if (!began)
		return null;
	return ended ? taskTook(task) : `${span(now() - Date.parse(began))} so far`;
}

const columns = [
	{title: 'State', kind: 'c-state', cell: task => state(lamps[task.State] ?? 'unknown', stateWords[task.State] ?? task.State)},
	{title: 'Name', head: true, kind: 'c-name', cell: nameCell},
	{title: 'What', kind: 'c-what', cell: task => kinds[task.Name] ?? task.Description},
	{title: 'Begun', sort: 'queued', label: 'Begun', kind: 'c-when', cell: task => rowTime(task.StartTime ?? task.QueueTime)},
	{title: 'Took', label: 'Took', kind: 'c-took', cell: tookCell},
	{title: 'Error', kind: 'c-why', cell: task => task.ErrorMessage},
];

export function view(page) {
	const tasks = list(page, {
		path: 'tasks', one: 'task', many: 'tasks', caption: 'Tasks, newest first', order: 'newest first',
		items: answer => answer.Items, key: task => task.Id, columns,
		filters: [
			{name: 'search', label: 'Search names'},
			{name: 'state', label: 'State', options: [['', 'All'], ...Object.entries(stateWords)]},
		],
		empty: () => [h('p', {}, 'No tasks yet. Registering a name is the first.'), link('Configure', '#/lets-encrypt/configure', {class: 'button'})],
	}, draw);

	function draw() {
		page.draw(
			band({path: [['Activity'], ['Tasks']], subject: count(tasks.total, 'task', 'tasks'), below: tasks.controls()}),
			paper(tasks.table(), tasks.items.length ? exactSwitch(draw) : null));
	}

	function changed(task) {
		if (tasks.items.some(({Id}) => Id === task.Id))
			tasks.change(task);
		else if (!page.query.get('cursor'))
			tasks.load();
	}

	page.title('Tasks');
	tasks.load();
	page.on('task', event => tasks.loaded && changed(event.Task ?? event));
	page.on('snapshot', () => tasks.loaded && tasks.load());
}
