/* Times by the server's clock, in the reader's zone.
 *
 *   now()                     milliseconds, the server's
 *   time(iso, 'relative')     <time> that renews its own words each half minute; a tip on hover and
 *                             focus tells zone and UTC. Forms:
 *     relative "in 18 days", "2 days ago"      moment "12 Jan 2027, 09:14"
 *     detail   "12 Jan 2027, 09:14 (in 48 days)"  near "Today, 17:10", "14:00", "22 Nov, 10:05"
 *     clock "14:02"                            exact "24 Nov 2026, 14:02:15"
 *   time(iso, form, {inTable: true}) is no tab stop. words(iso, form) gives the text alone.
 *   readable('Next try 2026-11-30T03:21:25Z.')   a time within a sentence, as people write it
 *   span(ms) "48 days", "6 hours", "10 minutes", "40 seconds". */
import {h} from './h.js';

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let ahead = null;

/* Each told time was a little later by when it came: the one that was underway least is the best,
 * unless a clock was set. */
export function setServerTime(iso) {
	const seen = iso ? Date.parse(iso) - Date.now() : ahead;
	if (ahead === null || seen > ahead || seen < ahead - MINUTE)
		ahead = seen;
}

export function now() {
	return Date.now() + (ahead ?? 0);
}

const two = n => String(n).padStart(2, '0');
const clock = d => `${two(d.getHours())}:${two(d.getMinutes())}`;
const dayMonth = d => `${d.getDate()} ${months[d.getMonth()]}`;
const dateText = d => `${dayMonth(d)} ${d.getFullYear()}`;

function units(ms) {
	if (ms >= 2 * DAY)
		return [Math.floor((ms + 10 * MINUTE) / DAY), 'day']; // what was given for 90 days just now has 90
	if (ms >= 100 * MINUTE)
		return [Math.round(ms / HOUR), 'hour'];
	if (ms >= 90 * SECOND)
		return [Math.round(ms / MINUTE), 'minute'];
	return [Math.round(ms / SECOND), 'second'];
}

export function span(ms) {
	const [n, unit] = units(Math.abs(ms));
	return `${n} ${unit}${n === 1 ? '' : 's'}`;
}

function relative(at) {
	const ms = at - now();
	if (Math.abs(ms) < 5 * SECOND)
		return 'now';
	return ms > 0 ? `in ${span(ms)}` : `${span(ms)} ago`;
}

function dayNumber(d) {
	return Math.round(new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime() / DAY);
}

function near(d) {
	const today = new Date(now()), days = dayNumber(d) - dayNumber(today);
	if (days === 0)
		return d.getTime() > now() + MINUTE ? `Today, ${clock(d)}` : clock(d);
	if (days === 1)
		return `Tomorrow, ${clock(d)}`;
	return d.getFullYear() === today.getFullYear() || Math.abs(days) < 180
		? `${dayMonth(d)}, ${clock(d)}` : dateText(d);
}

const forms = {
	relative: d => relative(d.getTime()),
	moment: d => `${dateText(d)}, ${clock(d)}`,
	detail: d => `${dateText(d)}, ${clock(d)} (${relative(d.getTime())})`,
	near,
	clock,
	exact: d => `${dateText(d)}, ${clock(d)}:${two(d.getSeconds())}`,
	seconds: d => `${clock(d)}:${two(d.getSeconds())}`,
	day: dayMonth,
	short: d => `${dayMonth(d)}, ${clock(d)}`,
};

export function words(at, form = 'moment') {
	return forms[form](new Date(at));
}

export function readable(text) {
	return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, iso => words(iso));
}

function tipText(iso) {
	const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	const utc = new Date(iso).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
	return zone === 'UTC' ? utc : `${words(iso, 'exact')}, ${zone}; ${utc}`;
}

export function time(at, form = 'moment', {inTable = false} = {}) {
	const iso = typeof at === 'number' ? new Date(at).toISOString() : at;
	return h('time', {datetime: iso, 'data-form': form, tabindex: inTable ? null : '0'}, words(iso, form));
}

function tick() {
	for (const element of document.querySelectorAll('time[data-form]')) {
		const text = words(element.dateTime, element.dataset.form);
		if (element.textContent !== text)
			element.textContent = text;
	}
}

/* The tip: one for all times. It stays while pointer or focus is on the time, or pointer on it. */

let tip = null, told = null;

function hideTip() {
	told?.removeAttribute('aria-describedby');
	told = null;
	tip.hidden = true;
}

function showTip(element) {
	told = element;
	(element.closest('main, dialog') ?? document.body).append(tip);
	tip.textContent = tipText(element.dateTime);
	tip.hidden = false;
	element.setAttribute('aria-describedby', 'tip');
	const box = element.getBoundingClientRect(), wide = tip.offsetWidth;
	tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - wide - 4))}px`;
	tip.style.top = `${box.bottom + 4 + tip.offsetHeight > innerHeight ? box.top - tip.offsetHeight - 4 : box.bottom + 4}px`;
}

const timeOf = target => target.closest?.('time[data-form]');

export function startClock() {
	tip = document.body.appendChild(h('div', {id: 'tip', class: 'tip', role: 'tooltip', hidden: true}));
	setInterval(tick, 30 * SECOND);
	for (const type of ['pointerover', 'focusin'])
		document.addEventListener(type, event => timeOf(event.target) && showTip(timeOf(event.target)));
	for (const type of ['pointerout', 'focusout'])
		document.addEventListener(type, event => {
			if (told && event.relatedTarget !== tip && document.activeElement !== told)
				hideTip();
		});
	document.addEventListener('keydown', event => event.key === 'Escape' && told && hideTip());
	document.addEventListener('scroll', () => told && hideTip(), {passive: true});
}
