/* An address that leads nowhere. */
import {band, link, mono, paper} from '../parts.js';

export function view(page, hash) {
	page.title('Not found');
	page.draw(band({path: [['Not found']], subject: 'There is no such view'}),
		paper(['The address names ', mono(hash), '. ', link("Let's Encrypt", '#/lets-encrypt'), ' is where things begin.']));
}
