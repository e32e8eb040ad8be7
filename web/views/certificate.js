/* The certificate as a real handshake saw it, beside the one that is stored. */
import {h} from '../h.js';
import {time} from '../time.js';
import {copy, mono, section} from '../parts.js';

const sameWord = () => h('span', {}, h('span', {'aria-hidden': 'true'}, '= '), 'same');

function names(list) {
	return list.map((name, i) => [i ? h('br') : null, mono(name)]);
}

function copied(what, text) {
	return [mono(text), copy(what, text)];
}

function row(label, served, stored, same, show) {
	return h('tr', {}, h('th', {scope: 'row'}, label),
		h('td', {}, served ? show(served) : stored ? show(stored) : ''),
		h('td', {class: served && !same ? 'other' : null}, !served ? '' : same ? sameWord() : show(stored)));
}

const rows = [
	['Names', 'names', names],
	['Issuer', 'issued_by', text => text],
	['Serial', 'serial', text => copied('serial', text)],
	['Key', 'key_type', text => text],
	['Thumbprint', 'thumbprint', text => copied('thumbprint', text)],
];

function value(certificate, leaf, member) {
	if (member !== 'issued_by' || leaf !== certificate)
		return leaf?.[member];
	return certificate.chain > 1 ? `${certificate.issued_by}, ${certificate.chain} certificates in the chain` : certificate.issued_by;
}

function heading(certificate) {
	if (!certificate.served_leaf)
		return h('th', {scope: 'col', colspan: '2'}, h('b', {}, 'Stored'), '; no handshake has shown yet what is served');
	return [
		h('th', {scope: 'col'}, h('b', {}, 'Served'), ', as a handshake at ', time(certificate.served_at, 'near'), ' saw it'),
		h('th', {scope: 'col'}, h('b', {}, 'Stored')),
	];
}

/* title, lead: what stands above the table. */
export function certificateSection(certificate, title = 'Certificate', lead = null) {
	const served = certificate.served_leaf;
	const equal = member => String(served?.[member]) === String(certificate[member]);
	const differs = served && rows.some(([, member]) => !equal(member));
	return section(title, lead, h('table', {class: differs ? 'served-table differs' : 'served-table'},
		h('caption', {class: 'unseen'}, 'The certificate served, beside the one stored'),
		h('thead', {}, h('tr', {}, h('td'), heading(certificate))),
		h('tbody', {}, rows.map(([label, member, show]) => row(label,
			served && equal(member) ? value(certificate, certificate, member) : served?.[member],
			value(certificate, certificate, member), equal(member), show)))));
}
