/* The findings of a diagnosis: as rows by area, as a line of counts, and as text to send to somebody. */
import {h, icon, said} from '../h.js';
import {state, stateName} from '../parts.js';
import {words} from '../time.js';

const areas = [
	['DNS', ['dns']], ['Port 80', ['port80', 'firewall']], ['Redirects', ['redirects', 'cdn']], ['CAA', ['caa']],
	['Limits', ['limits']], ['Clock', ['clock']], ['HTTPS', ['https', 'port443', 'hsts']],
];
const worst = ['problem', 'warning', 'unseen', 'ok'];

export const order = (a, b) => worst.indexOf(a.state) - worst.indexOf(b.state);

export function tally(all) {
	const n = kind => all.filter(f => f.state === kind).length;
	const unseen = n('unseen');
	return [...['problem', 'warning', 'ok'].filter(n).map(kind => `${n(kind)} ${stateName(kind)}`),
		unseen ? `${unseen} cannot be seen from here` : null].filter(Boolean).join(', ');
}

function proofOf({proof, state: kind, what}) {
	if (!proof)
		return null;
	return h('details', {class: 'proof', open: kind === 'problem'},
		h('summary', {}, icon('right'), h('span', {}, 'Proof'), h('span', {class: 'unseen'}, ` of ${what}`)), h('pre', {}, proof));
}

function row(finding) {
	const {subject, what} = finding, named = subject && (what === subject || what.endsWith(` ${subject}`));
	return h('li', {class: 'finding', key: `${finding.area} ${what} ${subject ?? ''}`},
		h('div', {}, state(finding.state)),
		h('div', {class: 'what'}, h('b', {class: named ? 'mono' : null}, what), subject && !named ? h('span', {class: 'mono hint'}, subject) : null),
		h('div', {class: 'said'}, h('p', {}, said(finding.sentence)),
			finding.fix ? h('p', {}, h('b', {}, 'Do: '), said(finding.fix)) : null),
		proofOf(finding));
}

export function findings({findings: all}) {
	return h('div', {class: 'findings'}, areas.map(([title, kinds]) => {
		const some = all.filter(f => kinds.includes(f.area));
		return some.length ? h('section', {class: 'area', key: title}, h('h2', {}, title), h('ul', {}, some.map(row))) : null;
	}));
}

export function report({name, at, sentence, findings: all}) {
	const lines = areas.flatMap(([title, kinds]) => all.filter(f => kinds.includes(f.area)).map(f => [
		`${title}: ${stateName(f.state)}: ${f.what}`, `  ${f.sentence}`, f.fix ? `  Do: ${f.fix}` : null,
		...(f.proof ? f.proof.split('\n').filter(Boolean).map(line => `    ${line}`) : [])]));
	return [`Diagnosis of ${name}, ${words(at, 'exact')}`, sentence, '', ...lines.flat()].filter(line => line !== null).join('\n');
}
