/* #/sites/NAME: the same view as home, for any site. */
import {get, segment} from '../api.js';
import {siteView} from './site-view.js';

export function view(page, name) {
	page.title(name);
	return siteView(page, {path: [['Configuration'], ['Sites', '#/sites'], [name === '*' ? 'All other names' : name]],
		name, load: signal => get(`sites/${segment(name)}`, {}, signal)});
}
