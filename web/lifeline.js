/* The life of a certificate as a line: from issue to expiry, now, renewal, attempts.
 *
 *   lifeline({issued, expires, renewal, due, attempts: [iso], next})   picture with words beneath
 *     renewal: when it renews by itself; due: since when renewing was due, if attempts failed since;
 *     attempts: those that failed; next: the next try
 *   lifelineRow(…same…)        20 high, for tables
 *   dayScale(now)              the day's scale of the sign-in page */
import {h, s, icon} from './h.js';
import {DAY, now, words} from './time.js';

const HOUR = DAY / 24, BASE = 36;
let patterns = 0;

const ms = iso => iso ? Date.parse(iso) : null;

/* Now, but not before the issue by the little that this browser's count of the server's clock may be off. */
function present({issued}) {
	const early = ms(issued) - now();
	return early > 0 && early < HOUR ? ms(issued) : now();
}

function scale({issued, expires}, width) {
	const from = ms(issued), to = Math.max(ms(expires), now());
	const x = at => Math.max(0, Math.min(width, width * (at - from) / (to - from)));
	return {from, to, x};
}

function line(x1, y1, x2, y2, kind) {
	return s('path', {d: `M${x1.toFixed(1)} ${y1}L${x2.toFixed(1)} ${y2}`, class: kind});
}

function hatching(id, kind) {
	return s('pattern', {id, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'},
		s('path', {d: kind === 'cross' ? 'M1 0v5M0 1h5' : 'M1 0v5'}));
}

function hatched(x1, x2, y, height, kind) {
	const id = `hatch-${++patterns}`;
	return s('g', {class: `hatched ${kind}`}, hatching(id, kind === 'bad' ? 'cross' : 'lines'),
		s('rect', {x: x1, y, width: Math.max(1, x2 - x1), height, fill: `url(#${id})`}));
}

function ticks({from, to, x}, width) {
	const life = to - from;
	const [long, short] = life < 3 * DAY ? [6 * HOUR, HOUR] : life < 30 * DAY ? [DAY, 6 * HOUR]
		: life < 400 * DAY ? [10 * DAY, DAY] : [100 * DAY, 10 * DAY];
	const step = width * short / life >= 5 ? short : width * long / life >= 5 ? long : life;
	let d = '';
	for (let at = from; at <= to; at += step)
		d += `M${x(at).toFixed(1)} ${BASE}v${(at - from) % long === 0 ? 12 : 6}`;
	return s('path', {d, class: 'ticks'});
}

function needle(x, top, bottom, size) {
	return s('g', {class: 'needle'}, line(x, top, x, bottom, 'stem'),
		s('path', {class: 'solid', d: `M${x - size} ${top}h${2 * size}L${x} ${top + size * 1.7}z`}));
}

function cross(x, y) {
	return s('path', {class: 'cross', d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8`});
}

function failedMarks(data, x) {
	const placed = [];
	for (const at of (data.attempts ?? []).map(ms).sort((a, b) => b - a)) {
		const left = Math.min(x(at), (placed.at(-1) ?? Infinity) - 11);
		if (placed.length < 8 && left > 0)
			placed.push(left);
	}
	return placed.map(left => cross(Math.max(left, 5), 20));
}

function picture(data, width) {
	const {x, ...rest} = scale(data, width);
	const at = now(), expires = ms(data.expires), renewal = ms(data.renewal), due = ms(data.due);
	const high = BASE - 10, stop = Math.min(x(renewal) + 14, x(expires) - 10);
	return s('svg', {class: 'line', viewBox: `0 0 ${width} 64`, width, height: 64, 'aria-hidden': 'true'},
		ticks({x, ...rest}, width),
		line(0, BASE, width, BASE, 'rest'),
		renewal && !due ? [hatched(Math.max(0, Math.min(x(renewal) - 4, stop - 8)), stop, high, 20, 'act'), line(x(renewal), high - 4, x(renewal), high + 24, 'chosen')] : null,
		line(0, BASE, x(at), BASE, 'elapsed'),
		due && due < expires ? hatched(x(due), x(Math.min(at, expires)), high, 20, 'warn') : null,
		at > expires ? hatched(x(expires), x(at), high, 20, 'bad') : null,
		line(1, BASE - 8, 1, BASE + 8, 'cap'),
		[x(expires) - 6, x(expires) - 1].map(left => line(left, BASE - 16, left, BASE + 16, 'end')),
		due ? failedMarks(data, x) : null,
		due && data.next ? s('circle', {class: 'try', cx: Math.min(width - 6, Math.max(x(ms(data.next)), x(at) + 7)), cy: 20, r: 4}) : null,
		needle(x(at), 2, 58, 7));
}

function marks(data) {
	const expired = ms(data.expires) <= now();
	const days = n => Math.floor((n - ms(data.issued)) / DAY), at = present(data);
	const all = days(ms(data.expires)) >= 3 && at >= ms(data.issued)
		? `day ${days(at)} of ${Math.round((ms(data.expires) - ms(data.issued)) / DAY)}` : null;
	const count = data.attempts?.length ?? 0;
	return [
		{at: data.issued, mark: 'issued', label: 'Issued', lines: [words(data.issued, 'moment')]},
		data.due ? {at: data.due, mark: 'window', kind: 'is-warning', label: 'Renewal due',
			lines: [words(data.due, 'short'), count ? `${count} attempt${count > 1 ? 's' : ''} failed` : null]} : null,
		expired ? {at: data.expires, mark: 'expires', kind: 'is-problem', label: 'Expired', lines: [words(data.expires, 'moment')]} : null,
		{at: new Date(at).toISOString(), mark: 'now', label: 'Now', lines: [words(now(), 'short'), expired ? null : all]},
		data.renewal && !data.due && !expired ? {at: data.renewal, mark: 'window', kind: 'acting', label: 'Renewal', lines: [words(data.renewal, 'moment')]} : null,
		expired ? null : {at: data.expires, mark: 'expires', kind: 'is-problem', label: 'Expires', lines: [words(data.expires, 'moment')], end: true},
	].filter(Boolean).sort((a, b) => ms(a.at) - ms(b.at));
}

function markWords({mark, kind = '', label, lines, end}) {
	return h('div', {class: end ? 'mark end' : 'mark'}, icon(`mark-${mark}`, kind), h('dt', {}, label),
		lines.filter(Boolean).map(text => h('dd', {}, text)));
}

/* Words begin at their marks, mark first; pushed left where two touch, and right where the left is full. */
function place(dl, data, width) {
	const {x} = scale(data, width), list = marks(data), boxes = [...dl.children];
	const wide = boxes.map(box => box.offsetWidth), left = [];
	for (let i = list.length - 1; i >= 0; i--) {
		const wanted = list[i].end ? width - wide[i] : x(ms(list[i].at)) - 7;
		left[i] = Math.max(0, Math.min(wanted, (left[i + 1] ?? width + 12) - 12 - wide[i]));
	}
	for (let i = 1; i < list.length; i++)
		left[i] = Math.max(left[i], left[i - 1] + wide[i - 1] + 12);
	boxes.forEach((box, i) => { box.style.left = `${left[i]}px`; });
	dl.style.height = `${Math.max(...boxes.map(box => box.offsetHeight))}px`;
}

export function lifeline(data) {
	const root = h('div', {class: 'lifeline', own: JSON.stringify(data)});
	const draw = () => {
		const width = Math.floor(root.clientWidth);
		if (!width)
			return;
		const dl = h('dl', {class: width < 640 ? 'marks rows' : 'marks'}, marks(data).map(markWords));
		root.replaceChildren(picture(data, width), dl);
		if (width >= 640)
			place(dl, data, width);
	};
	let drawn = 0;
	const watch = new ResizeObserver(() => {
		if (root.clientWidth !== drawn) {
			drawn = root.clientWidth;
			draw();
		}
	});
	watch.observe(root);
	const timer = setInterval(() => {
		if (root.isConnected)
			return draw();
		clearInterval(timer);
		watch.disconnect();
	}, 60000);
	return root;
}

export function lifelineRow(data, width = 144) {
	const {x} = scale(data, width), at = now(), base = 13;
	const expires = ms(data.expires), renewal = ms(data.renewal), due = ms(data.due);
	const bar = (from, to, kind) => s('rect', {x: from, y: base - 4, width: Math.max(6, to - from), height: 8, class: kind});
	return s('svg', {class: 'line row-line', viewBox: `0 0 ${width} 20`, width, height: 20, 'aria-hidden': 'true'},
		line(0, base, width, base, 'rest'),
		line(0, base, x(at), base, 'elapsed'),
		due && due < expires ? bar(x(due), x(Math.min(at, expires)), 'solid-warn') : null,
		at > expires ? bar(x(expires), x(at), 'solid-bad') : null,
		renewal && !due ? bar(Math.min(width - 8, x(renewal) - 4), x(renewal) + 4, 'solid-act') : null,
		[x(expires) - 5, x(expires) - 1].map(left => line(left, base - 8, left, base + 7, 'end')),
		needle(Math.max(5, Math.min(width - 5, x(at))), 2, 19, 4.5));
}

/* From midnight to midnight, with the server's clock as needle. */
export function dayScale(sign) {
	const root = h('div', {class: 'lifeline day', own: 'day'});
	const draw = () => {
		const width = Math.floor(root.clientWidth), d = new Date(now());
		const part = (d.getHours() * 60 + d.getMinutes() + d.getSeconds() / 60) / 1440;
		if (!width)
			return;
		let path = '';
		for (let q = 0; q <= 144; q++)
			path += width / 144 >= 4 || q % 6 === 0 ? `M${(width * q / 144).toFixed(1)} 36v${q % 36 === 0 ? 16 : q % 6 === 0 ? 10 : 6}` : '';
		const hours = [0, 6, 12, 18, 24].map(hour => s('text', {x: width * hour / 24, y: 22, class: hour === 0 ? 'start' : hour === 24 ? 'stop' : ''}, `${hour}:00`));
		const x = width * part;
		root.replaceChildren(
			s('svg', {class: 'line', viewBox: `0 0 ${width} 64`, width, height: 64, 'aria-hidden': 'true'}, hours,
				s('path', {d: path, class: 'ticks'}), line(0, 36, width, 36, 'rest'), line(0, 36, x, 36, 'elapsed'),
				line(1, 28, 1, 44, 'cap'), needle(x, 2, 58, 7)),
			sign());
		const words = root.lastChild;
		words.style.marginLeft = `${Math.max(0, Math.min(x - 6, width - words.offsetWidth))}px`;
	};
	new ResizeObserver(draw).observe(root);
	const timer = setInterval(() => root.isConnected ? draw() : clearInterval(timer), 1000);
	return root;
}
