/* Sites at a glance: worst first, searched and paged by the API. #/sites?add=1 and ?edit=NAME show the
 * form instead. */
import {h} from '../h.js';
import {get, segment} from '../api.js';
import {lifelineRow} from '../lifeline.js';
import {list} from '../table.js';
import {band, link, paper, state, stateName} from '../parts.js';
import {bulk} from './sites-bulk.js';
import {count, exactSwitch, lifeOf, rowTime, sourceNote} from './shared.js';
import {siteForm} from './site-form.js';

const lamps = ['problem', 'warning', 'working', 'temporary', 'ok', 'off', 'unknown'];

function nameCell(site) {
	const text = site.fallback ? 'All other names' : site.unicode ?? site.name;
	return [link(text, `#/sites/${segment(site.name)}`, {class: site.fallback ? null : 'mono'}),
		site.unicode ? [' ', h('span', {class: 'hint mono'}, site.name)] : null,
		site.names.length > 1 ? h('span', {class: 'hint'}, ` +${site.names.length - 1}`) : null,
		sourceNote(site.source)];
}

function expiresCell({certificate}) {
	const life = lifeOf(certificate);
	return life ? h('div', {class: 'life'}, lifelineRow(life),
		h('span', {}, h('span', {class: 'narrow'}, 'Expires '), rowTime(certificate.not_after))) : null;
}

/* All other names: none that a certificate could be for. */
const isBare = site => site.fallback && !site.certificate;

function renewsCell(site) {
	const {certificate, state: lamp} = site;
	if (lamp === 'off')
		return isBare(site) ? null : 'never';
	return certificate?.next_renewal ? rowTime(certificate.next_renewal) : null;
}

const columns = [
	{title: 'State', sort: 'state', kind: 'c-state', cell: site => state(site.state, isBare(site) ? 'None' : stateName(site.state))},
	{title: 'Name', sort: 'name', kind: 'c-name', head: true, cell: nameCell},
	{title: 'Issuer', kind: 'c-issuer', cell: site => site.issuer_title ?? (isBare(site) ? null : stateName('temporary'))},
	{title: 'Expires', sort: 'expires', kind: 'c-expires', cell: expiresCell},
	{title: 'Renews', sort: 'renews', kind: 'c-renews', cell: renewsCell},
	{title: 'Under way, or last error', kind: 'c-why', cell: site => site.why ?? (isBare(site) ? 'Each name is registered by itself' : null)},
];

const allOf = counts => Object.values(counts).reduce((sum, n) => sum + n, 0);

function subject({loaded, total, counts}) {
	const all = allOf(counts);
	if (!loaded)
		return 'Sites';
	return total < all ? `${total.toLocaleString('en')} of ${count(all, 'site', 'sites')}` : count(total, 'site', 'sites');
}

function addLink(page, filled = false) {
	return page.may('operate') ? link('Add site', '#/sites?add=1', {class: filled ? 'button filled' : 'button'}) : null;
}

function nothing(page) {
	return [h('p', {}, 'No sites yet.'), addLink(page, true)];
}

function showList(page) {
	let issuers = [];
	const mayChange = page.may('operate');
	const sites = list(page, {
		path: 'sites', one: 'site', many: 'sites', caption: 'Sites, worst first', order: 'worst first',
		key: site => site.name, columns,
		filters: [
			{name: 'search', label: 'Search names'},
			{name: 'state', label: 'State', options: [['', 'All'], ...lamps.map(lamp => [lamp, stateName(lamp)])]},
			{name: 'issuer', label: 'Issuer', get options() { return [['', 'All'], ...issuers]; }},
		],
		empty: () => nothing(page),
		choose: mayChange ? site => `Choose ${site.name}` : null,
	}, draw);
	const bar = bulk(page, sites, draw);

	function draw() {
		page.draw(
			band({path: [['Configuration'], ['Sites']], subject: subject(sites), actions: [allOf(sites.counts) ? addLink(page) : null], below: sites.controls()}),
			paper(bar.told(), sites.table(), sites.items.length ? exactSwitch(draw) : null),
			bar.bar());
	}

	page.title('Sites');
	sites.load();
	get('issuers', {}, page.signal).then(answer => {
		issuers = answer.items.map(({name, title}) => [name, title]);
		if (sites.loaded)
			draw();
	}, () => {}); // without it the filter offers "All" alone
	page.on('site', site => sites.total ? sites.change(site) : sites.load());
	page.on('gone', ({kind, name}) => kind === 'site' && sites.gone(name));
	page.on('counts', ({counts}) => { sites.counts = counts; });
	page.on('snapshot', () => sites.loaded && sites.load());
}

export function view(page) {
	if (page.query.has('add'))
		siteForm(page, null);
	else if (page.query.has('edit'))
		siteForm(page, page.query.get('edit'));
	else
		showList(page);
}
