/* Configuration ➜ Let's Encrypt: the site that Configure made, or the way to make one. */
import {h} from '../h.js';
import {get, segment} from '../api.js';
import {band, link, noPermission, paper, section} from '../parts.js';
import {siteView} from './site-view.js';

const path = [['Configuration'], ["Let's Encrypt"]];

/* Those that have a certificate for sure. */
const secured = ({ok = 0, warning = 0, unknown = 0}) => ok + warning + unknown;

function empty(page, sites, withHttps) {
	const may = page.may('operate');
	page.draw(band({path, subject: withHttps ? `HTTPS stands for ${withHttps === 1 ? '1 site' : `${withHttps.toLocaleString('en')} sites`}` : 'HTTPS is not set up'}),
		paper(section(null, h('div', {class: 'empty'},
			withHttps ? h('p', {}, 'The one that Configure makes is shown here, and there is none. ', link('Sites', '#/sites'), ' tells how each one stands.') : null,
			h('p', {}, "Give your application's DNS name; Everseal gets a certificate and renews it."),
			may ? link('Configure', '#/lets-encrypt/configure', {class: 'button filled'}) : noPermission(page.session.scope),
			sites && !withHttps ? h('p', {class: 'hint'}, link(sites === 1 ? '1 site' : `${sites} sites`, '#/sites'), sites === 1 ? ' stands' : ' stand', ' in the configuration.') : null))));
}

/* The site of the certificate that Configure made; one that has no site yet, or none any more, is
 * shown alone. */
async function primarySite(id, signal) {
	const certificate = await get(`certificates/${segment(id)}`, {}, signal);
	const name = certificate.names[0];
	const {items} = await get('sites', {search: name, limit: 200}, signal);
	return items.find(site => site.names.includes(name)) ?? {name, names: certificate.names, unicode: null, fallback: false,
		state: certificate.lamp, why: null, upstreams: [], force_ssl: false, hsts: null, hsts_promised_until: null, issuer: certificate.issuer, issuer_title: certificate.issuer, listen: null, url: null, source: null,
		force_ssl_source: null, hsts_source: null, version: 0, certificate};
}

export function view(page) {
	page.title("Let's Encrypt");
	return page.load("Let's Encrypt", signal => get('overview', {}, signal), overview => {
		const sites = Object.values(overview.counts).reduce((sum, n) => sum + n, 0);
		if (overview.primary)
			return siteView(page, {path, load: signal => primarySite(overview.primary, signal)});
		empty(page, sites, secured(overview.counts));
	});
}
