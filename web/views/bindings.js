/* Where Everseal listens, who else holds a port, and where this page itself is. */
import {h} from '../h.js';
import {post} from '../api.js';
import {state as live} from '../live.js';
import {list} from '../table.js';
import {ask, band, button, copy, facts, file, isLocked, mono, paper, section, state} from '../parts.js';
import {count} from './shared.js';

const lamps = {listening: 'ok', failed: 'problem', binding: 'working', 'held back': 'warning'};
const stateWords = {listening: 'Listening', failed: 'Not bound', binding: 'Binding', 'held back': 'Held back'};

export function endpoint({address, port}) {
	return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function why({holder, error, port}) {
	if (holder)
		return `${holder} holds port ${port}. Everseal takes nothing away: choose another address or stop it.`;
	return error;
}

const columns = [
	{title: 'State', kind: 'c-state', cell: l => state(lamps[l.state] ?? 'unknown', stateWords[l.state] ?? l.state)},
	{title: 'Address', head: true, kind: 'mono', cell: endpoint},
	{title: 'Serves', cell: l => l.scheme === 'https' ? 'HTTPS' : 'HTTP, and the checks of certificate authorities'},
	{title: 'Sites', label: 'Sites:', cell: l => l.sites.toLocaleString('en')},
	{title: 'Set in', label: 'Set in', kind: 'nowrap', cell: l => isLocked(l.source) ? file(l.source) : l.source === 'store' ? 'a registration' : 'the default'},
	{title: 'What stands in the way', cell: why},
];

function pageFacts(page) {
	const {protocol, host} = location;
	return facts([
		['Address', mono(endpoint(page))],
		page.name ? ['Name', mono(page.name)] : null,
		['Reached by', page.https ? 'HTTPS' : 'HTTP, from this machine alone'],
		page.https && page.fingerprint ? ['Fingerprint', mono(page.fingerprint), ' ', copy('fingerprint', page.fingerprint)] : null,
		['Opened as', mono(`${protocol}//${host}`)],
	]);
}

/* What load balancers hear; that draining is on, and its end, stand above every view. */
function balancers(draining, drain) {
	return section('Load balancers',
		h('p', {}, draining ? state('warning', 'Told to send nobody here') : state('ok', 'Told that this server takes visitors')),
		h('p', {class: 'hint'}, 'They ask ', mono('/api/octopusservernodes/ping'), ' of this page: 200, or 418 while nobody is to be sent.'),
		drain && !draining ? h('div', {class: 'actions'}, button('Send no visitors here …', drain)) : null);
}

function drain() {
	return ask({title: 'Send no visitors here?', act: 'Send no visitors here', safe: 'Go on as it is', run: () => post('drain', {on: true}),
		body: h('p', {}, 'Load balancers are told to send nobody to this server any more. Connections go on, whoever comes all the same is served, and it can be ended on every page.')});
}

export function view(page) {
	let draining = live.overview?.draining ?? false;
	let answer = {addresses: [], page: null};
	const listeners = list(page, {
		path: 'bindings', one: 'listener', many: 'listeners', caption: 'Where Everseal listens', key: endpoint, columns,
		items: given => {
			answer = given;
			return given.listeners;
		},
		empty: () => [h('p', {}, 'Everseal listens nowhere yet. It begins with the first name that is registered.')],
	}, draw);

	function draw() {
		const open = listeners.items.filter(l => l.state === 'listening').length;
		page.draw(
			band({path: [['Configuration'], ['Bindings']], subject: `${open} of ${count(listeners.items.length, 'listener', 'listeners')} open`}),
			paper(listeners.table(),
				h('p', {class: 'hint after'}, 'Listeners come from the configuration file, and from the address chosen when a name is registered.'),
				h('div', {class: 'two under'},
					h('div', {}, section('Addresses of this machine', h('ul', {class: 'mono names'}, answer.addresses.filter(a => a !== '0.0.0.0' && a !== '::').map(a => h('li', {}, a))))),
					h('div', {}, answer.page ? section('This page', pageFacts(answer.page)) : null,
						balancers(draining, page.may('operate') ? drain : null)))));
	}

	page.title('Bindings');
	listeners.load();
	for (const kind of ['counts', 'snapshot'])
		page.on(kind, told => {
			draining = told.draining;
			if (listeners.loaded)
				draw();
		});
	page.on('snapshot', () => listeners.loaded && listeners.load());
	page.every(15000, () => listeners.loaded && !document.hidden && listeners.load());
}
