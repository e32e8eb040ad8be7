/* A failed attempt in words: what, why, what to do, and what the CA wrote. */
import {h, said} from '../h.js';
import {words} from '../time.js';
import {button, facts, link, more, section} from '../parts.js';
import {stageOf, subject} from './steps.js';

const errands = [
	[/AAAA/, 'Repair IPv6'], [/\bCAA\b/, 'Change CAA'], [/[Oo]pen .*port 80|port 80 .*firewall/, 'Open port 80'],
	[/[Pp]oint /, 'Point the name here'], [/\bDNS\b|address record/, 'Repair DNS'],
];

/* The remedy in two or three words, for the readout; the sentence stands below. */
export function errand(error) {
	if (!error?.remedy || error.code === 'limit' || /^(Nothing|It is tried again)/.test(error.remedy))
		return {value: 'Nothing', lines: ['It tries again by itself']};
	const known = errands.find(([pattern]) => pattern.test(error.remedy));
	return known ? {value: known[1], lines: ['See below']} : {value: 'Read below', lines: ['What to do stands there']};
}

function heading(task, steps, error) {
	const at = task?.QueueTime ?? error.at;
	const what = task ? subject(task).toLowerCase() : 'attempt';
	const when = words(at, 'near');
	return `The ${what} of ${when.length === 5 ? `today, ${when}` : when}, failed${steps.length ? ` at step ${stageOf(steps)}` : ''}`;
}

/* Its addresses can be followed: a CA names the page on which a name is released. */
function remedy(text) {
	return text.split(/(https:\/\/[^\s`]+[^\s`.,;)])/).map((part, i) => i % 2 ? link(part, part, {target: '_blank', rel: 'noreferrer'}) : said(part));
}

export function failureWords(error) {
	return facts([
		['What', said(error.what || error.message)],
		error.why ? ['Why', said(error.why)] : null,
		error.remedy ? ['What to do', remedy(error.remedy.replace(/^It is tried again\.$/, 'Nothing: Everseal tries again by itself.'))] : null,
	], 'large');
}

/* again: tries again, or null; name: for Diagnose. */
export function failedSection({task, steps = [], error, again, name}) {
	const actions = [again ? button('Try again', again, {filled: true}) : null,
		name ? link('Diagnose', `#/diagnosis/${encodeURIComponent(name)}`, {class: 'button'}) : null].filter(Boolean);
	const caText = error.ca_text;
	return section(heading(task, steps, error), {bad: true}, failureWords(error),
		actions.length ? h('div', {class: 'actions'}, actions) : null,
		caText ? more('What the CA wrote', h('pre', {}, caText)) : null);
}
