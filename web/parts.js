/* What views are made of.
 *
 *   state('ok', 'OK, served now')       icon and word          stateName('problem') "Problem"
 *   band({path: [['Configuration'], ["Let's Encrypt", '#/lets-encrypt']], subject, mono, actions,
 *     readouts: [{label, value, state, lines: [..]}], picture})   the upper part of a view; its h1
 *   section('Certificate', ...children) with a rule and an h2; {bad: true} for a red one
 *   facts([['Names', ...], …])           dl of label and value
 *   button('Renew now', act, {filled}), link(text, href)
 *   notice('problem'|'warning'|'note'|'ok', children, {close: f})
 *   failure(error, again)                a sentence and "Try again"
 *   ask({title, body, safe, act, run, danger})  dialog; opens it; run() may throw (shown there,
 *     but for code "told": a field says it)
 *   typedName(label, name)               input for ask(): .value is compared by the caller
 *   copy('serial', text)                 button "Copy"
 *   menu('More', [{text, act}|{text, href, download}])
 *   steps(task, steps)                   in task.js
 *   more('More options', ...children)    disclosure
 *   tellAll(text)                        one polite sentence for screen readers
 *   file({file, line}) "everseal.conf, line 12"   locked(source) its sentence with a padlock
 *   load(place, 'sites', signal => get(…), show)  words after 0.4 s with Stop; failure; Try again */
import {h, icon, said, update} from './h.js';
import {span} from './time.js';

export const stateNames = {
	problem: 'Problem', warning: 'Warning', working: 'Working', temporary: 'Temporary', ok: 'OK', off: 'Off',
	unknown: 'Cannot see', unseen: 'Cannot see from here',
};
export const stateName = name => stateNames[name] ?? name;
const iconOf = name => name === 'unseen' ? 'unknown' : name;

export function state(name, text = stateName(name)) {
	return h('span', {class: `state is-${iconOf(name)}`}, icon(iconOf(name)), h('span', {}, text));
}

export function button(text, act, {filled = false, small = false, kind = '', ...more} = {}) {
	const names = [filled ? 'filled' : '', small ? 'small' : '', kind].filter(Boolean).join(' ');
	return h('button', {type: 'button', class: names || null, onclick: act, ...more}, text);
}

export function link(text, href, more = {}) {
	return h('a', {href, ...more}, text);
}

export function mono(text) {
	return h('span', {class: 'mono'}, text);
}

function pathPart([text, href], i, all) {
	const last = i === all.length - 1;
	return [i ? h('span', {class: 'arrow'}, ' ➜ ') : null,
		last ? h('span', {class: 'here'}, text) : href ? link(text, href) : text];
}

function readout({label, value, state: lamp, lines = []}) {
	const words = lamp ? h('span', {class: `state is-${lamp}`}, icon(lamp), h('span', {}, value)) : value;
	return h('div', {class: 'readout'}, h('dt', {}, label),
		h('dd', {class: 'value'}, words),
		lines.filter(Boolean).map(line => h('dd', {}, line)));
}

export function readoutList(readouts) {
	return h('dl', {class: 'readouts'}, readouts.map(readout));
}

export function band({path, subject, mono: isMono, actions = [], readouts = [], picture, below}) {
	return h('header', {class: 'band'}, h('div', {class: 'within'},
		path.length ? h('div', {class: 'head'},
			h('div', {class: 'headings'},
				h('h1', {class: 'path', tabindex: '-1'}, path.map(pathPart)),
				subject ? h('p', {class: isMono ? 'subject mono' : 'subject'}, subject) : null),
			actions.filter(Boolean).length ? h('div', {class: 'actions'}, actions) : null) : null,
		readouts.length ? readoutList(readouts) : null,
		picture, below));
}

export function section(title, ...children) {
	const kind = children[0]?.bad ? (children.shift(), 'section bad') : 'section';
	return h('section', {class: kind}, title ? h('h2', {}, title) : null, children);
}

export function columns(left, right) {
	return h('div', {class: 'paper'}, h('div', {class: 'within two'},
		h('div', {class: 'column'}, left), h('div', {class: 'column'}, right)));
}

export function paper(...children) {
	return h('div', {class: 'paper'}, h('div', {class: 'within'}, children));
}

export function facts(rows, kind = '') {
	return h('dl', {class: `facts ${kind}`.trim()}, rows.filter(Boolean).map(([label, ...value]) =>
		h('div', {}, h('dt', {}, label), h('dd', {}, value))));
}

const noticeIcon = {note: 'note', ok: 'ok', warning: 'warning', problem: 'problem'};

export function notice(kind, children, {close, key} = {}) {
	return h('div', {class: `notice is-${kind}`, role: kind === 'problem' ? 'alert' : 'status', key},
		icon(noticeIcon[kind]), h('div', {class: 'words'}, typeof children === 'string' ? h('p', {}, said(children)) : children),
		close ? button('Close', close, {small: true}) : null);
}

export function failure(error, again) {
	return notice('problem', [h('p', {}, said(error.sentence ?? error.message)),
		again && error.status !== 404 ? button('Try again', again, {small: true}) : null]);
}

let polite = null;

export function tellAll(text) {
	polite ??= document.body.appendChild(h('p', {class: 'unseen', role: 'status', id: 'polite'}));
	polite.textContent = text;
}

/* Disclosure: its text is a link, as the triangle turns. */
export function more(text, ...children) {
	return h('details', {class: 'more'}, h('summary', {}, icon('right'), h('span', {}, text)),
		h('div', {class: 'inside'}, children));
}

/* Copying works only in a secure context; else the old way, else by hand. */
async function putOnClipboard(text) {
	if (window.isSecureContext && navigator.clipboard) {
		await navigator.clipboard.writeText(text);
		return true;
	}
	const field = document.body.appendChild(h('textarea', {class: 'unseen', 'aria-hidden': 'true'}));
	field.value = text;
	field.select();
	const done = document.execCommand('copy');
	field.remove();
	return done;
}

export function copy(what, text, shown = 'Copy') {
	const label = h('span', {}, shown);
	const act = async event => {
		const target = event.currentTarget;
		const done = await putOnClipboard(text).catch(() => false);
		target.focus();
		label.textContent = done ? 'Copied' : 'Press Ctrl+C';
		tellAll(done ? `Copied ${what}` : 'Press Ctrl+C');
		if (!done)
			getSelection().selectAllChildren(target.previousElementSibling ?? target);
		setTimeout(() => { label.textContent = shown; }, 4000);
	};
	return h('button', {type: 'button', class: shown === 'Copy' ? 'plain' : null, own: `${what} ${text}`,
		'aria-label': `Copy ${what}`, onclick: act}, label);
}

/* A button that opens a list of links and buttons; Esc and a click elsewhere close it. */
export function menu(text, entries, {kind = '', label, key = ''} = {}) {
	const list = h('ul', {class: 'menu-list', hidden: true}, entries.map(entry => h('li', {}, menuEntry(entry, () => {
		open(false);
		toggle.focus(); // a dialog that the entry opens gives the focus back there
	}))));
	const toggle = h('button', {type: 'button', class: kind || null, 'aria-expanded': 'false', 'aria-label': label,
		onclick: () => open(list.hidden)}, text, icon('down'));
	const root = h('div', {class: 'menu', own: `${text} ${key} ${entries.map(e => e.text + (e.href ?? '')).join()}`,
		onkeydown: event => {
			if (event.key !== 'Escape' || list.hidden)
				return;
			open(false);
			toggle.focus();
		},
		onfocusout: event => event.relatedTarget && !root.contains(event.relatedTarget) && open(false)}, toggle, list);
	const outside = event => root.contains(event.target) || open(false);
	function open(yes) {
		list.hidden = !yes;
		toggle.setAttribute('aria-expanded', String(yes));
		document[yes ? 'addEventListener' : 'removeEventListener']('pointerdown', outside);
		if (yes)
			list.querySelector('a, button').focus();
	}
	return root;
}

function menuEntry({text, act, href, download}, close) {
	if (href)
		return h('a', {href, download: download ?? null, onclick: close}, text);
	return button(text, () => { close(); act(); }, {kind: 'entry'});
}

/* Dialog. The safe button has the focus, Esc is that button, a click outside does nothing, focus
 * goes back. run() may throw: its sentence is shown, the dialog stays. Resolves when it is closed. */
export function ask({title, body = [], safe = 'Keep it', act, run, danger = false, focus}) {
	const back = document.activeElement;
	const said = h('div', {});
	const inside = h('div', {class: 'dialog-body'}, body);
	const doIt = async () => {
		try {
			await run();
			dialog.close('done');
		} catch (error) {
			update(said, error.code === 'told' ? null : failure(error));
		}
	};
	const keep = button(safe, () => dialog.close(''));
	const form = h('form', {novalidate: true, method: 'dialog', onsubmit: event => { event.preventDefault(); doIt(); }},
		h('h2', {id: 'dialog-title'}, title), inside, said,
		h('div', {class: 'actions'}, safe ? keep : null,
			h('button', {type: 'submit', class: danger ? 'danger' : 'filled'}, act)));
	const dialog = h('dialog', {'aria-labelledby': 'dialog-title'}, form);
	document.body.append(dialog);
	dialog.showModal();
	(focus ?? keep).focus();
	return new Promise(resolve => dialog.addEventListener('close', () => {
		dialog.remove();
		back?.focus?.();
		resolve(dialog.returnValue === 'done');
	}));
}

export function file({file: path, line}) {
	return `${path.split('/').pop()}, line ${line}`;
}

export const isLocked = source => Boolean(source && typeof source === 'object');

export function locked(source) {
	return h('p', {class: 'locked'}, icon('lock'), h('span', {},
		`Set in ${file(source)}; change it there, then `, h('code', {}, 'everseal reload'), '.'));
}

export function noPermission(scope) {
	return h('p', {class: 'hint'}, `You can look, not change: your scope is ${scope}.`);
}

/* Old content stays while the answer is awaited. */
export async function load(place, what, request, show, outer, failed = () => {}) {
	const stop = new AbortController(), begun = Date.now();
	outer?.addEventListener('abort', () => stop.abort());
	const words = () => update(place, h('p', {class: 'loading'}, h('span', {role: 'status'},
		`Loading ${what}${Date.now() - begun > 1500 ? `, ${span(Date.now() - begun)}` : ''}`), ' ',
	button('Stop', () => stop.abort(), {kind: 'plain'})));
	const timers = [setTimeout(words, 400), setInterval(words, 1000)];
	const end = () => timers.forEach(clearTimeout);
	try {
		const result = await request(stop.signal);
		end();
		update(place);
		if (!outer?.aborted)
			show(result);
	} catch (error) {
		end();
		if (!error.sentence)
			throw error;
		if (outer?.aborted)
			return;
		failed(error);
		update(place, failure(error, () => load(place, what, request, show, outer, failed)));
	}
}
