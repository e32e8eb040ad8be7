/* Forms: nothing the person typed is ever cleared; words at the field and in a summary.
 *
 *   const name = field({name: 'name', label: 'DNS name', hint, value, mono, type, autocomplete, after,
 *                       repair: text => text.trim(), check: text => null | 'sentence' | {text, use}})
 *     .root to place, .input, .value (repaired), .fail(text, use) .clear(); `use`: value offered by a
 *     button "Use …". check is asked on blur (only if filled, quietly) and on submit (also if empty).
 *   choice({name, label, options: [[value, text]], value}) a select with the same interface
 *   tick({name, label, checked, check})                   a checkbox;  toggle(…) role=switch
 *   const f = form({fields: [name, …], submit: 'Register', also: [buttons], send: async () => …})
 *     .root; .show(error) puts an ApiError at the field that its details name, or on top.
 *     On submit: checks all, else summary (focused) and "Error: " in the title; then send(). A second
 *     press while it is sent waits for the same answer. */
import {h, icon, said as words, update} from './h.js';
import {button} from './parts.js';

let ids = 0;

export function field({name, label, hint, value = '', mono = false, type = 'text', repair = t => t.trim(), check = () => null,
	after = null, kind = '', ...attributes}) {
	const id = `f-${name}-${++ids}`;
	const input = h('input', {id, name, type, class: mono ? 'mono' : null, spellcheck: mono ? 'false' : null,
		autocapitalize: mono ? 'none' : null, ...attributes, value});
	return control({id, name, label, hint, input, after, check, kind, read: () => repair(input.value)});
}

export function choice({name, label, hint, options, value, check = () => null, kind = '', ...attributes}) {
	const id = `f-${name}-${++ids}`;
	const input = h('select', {id, name, ...attributes, value}, options.map(([v, text]) => h('option', {value: v}, text)));
	const framed = h('span', {class: 'select'}, input, icon('down'));
	return control({id, name, label, hint, input, framed, check, kind, read: () => input.value});
}

export function tick({name, label, hint, title, checked = false, check = () => null, role = null}) {
	const id = `f-${name}-${++ids}`;
	const input = h('input', {id, name, type: 'checkbox', role, checked});
	const framed = h('span', {class: 'tick'}, input, h('label', {for: id}, label));
	return control({id, name, label: title, hint, input, framed, check, kind: 'field-tick', read: () => input.checked});
}

export const toggle = options => tick({...options, role: 'switch'});

function control({id, name, label, hint, input, framed = input, after, check, kind, read}) {
	const said = h('div', {id: `${id}-error`});
	const offered = h('div', {class: 'offered'});
	const hinted = hint ? h('p', {class: 'hint', id: `${id}-hint`}, hint) : null;
	const labelled = input.type === 'checkbox' ? label && h('p', {class: 'label'}, label) : h('label', {class: 'label', for: id}, label);
	const root = h('div', {class: `field ${kind}`.trim()}, labelled, hinted, said,
		after ? h('div', {class: 'joined'}, framed, after) : framed, offered);
	const self = {
		root, input, name, label,
		error: null,
		onRepaired: () => {},
		get value() { return read(); },
		set value(v) { input[input.type === 'checkbox' ? 'checked' : 'value'] = v; self.clear(); },
		check: () => check(read()),
		fail(text, use) { show(text, use); },
		clear() { show(null); },
		describe(text) { update(hinted, text); },
	};
	function show(text, use) {
		self.error = text;
		root.classList.toggle('wrong', Boolean(text));
		input.setAttribute('aria-invalid', String(Boolean(text)));
		update(said, text ? h('p', {class: 'error'}, icon('problem'), h('span', {}, words(text))) : null);
		update(offered, use ? button(`Use ${use}`, () => {
			self.value = use;
			input.focus();
			input.dispatchEvent(new Event('change', {bubbles: true}));
		}) : null);
		const about = [hinted && `${id}-hint`, text && `${id}-error`].filter(Boolean).join(' ');
		if (about)
			input.setAttribute('aria-describedby', about);
		else
			input.removeAttribute('aria-describedby');
		if (!text)
			self.onRepaired();
	}
	self.judge = quiet => {
		const found = self.check();
		const verdict = typeof found === 'string' ? {text: found} : found;
		if (quiet && (input.value === '' || input.type === 'checkbox'))
			return true;
		if (verdict)
			show(verdict.text, verdict.use);
		else if (self.error)
			show(null);
		return !verdict;
	};
	input.addEventListener('blur', event => event.relatedTarget?.type !== 'submit' && self.judge(true));
	input.addEventListener('input', () => self.error && !self.check() && show(null));
	show(null);
	return self;
}

function summary(entries) {
	return h('div', {class: 'summary', role: 'group', tabindex: '-1', 'aria-labelledby': 'summary-title'},
		h('h2', {id: 'summary-title'}, icon('problem'), h('span', {}, 'There is a problem')),
		h('ul', {}, entries.map(({text, input}) => h('li', {}, input
			? h('a', {href: `#${input.id}`, onclick: event => { event.preventDefault(); input.focus(); }}, words(text))
			: h('span', {}, words(text))))));
}

export function form({fields, submit, also = [], send, kind = '', place, children}) {
	const top = place ?? h('div', {});
	let underWay = null, loose = [];
	const bare = title => title.replace(/^Error: /, '');
	function list() {
		const entries = [...fields.filter(f => f.error).map(f => ({text: f.error, input: f.input})), ...loose];
		update(top, entries.length ? summary(entries) : null);
		document.title = (entries.length ? 'Error: ' : '') + bare(document.title);
		return entries.length;
	}
	function showAll() {
		if (list())
			top.firstChild.focus();
	}
	const self = {
		top, fields,
		show(error) {
			const at = fields.find(f => f.name === error.details?.field && f.root.isConnected);
			if (at)
				at.fail(error.sentence ?? error.message, error.details.offered);
			else
				loose = [{text: error.sentence ?? error.message}];
			showAll();
		},
		async submit() {
			loose = [];
			if (fields.filter(f => f.root.isConnected).map(f => f.judge(false)).includes(false))
				return void showAll();
			list();
			underWay ??= (async () => send())();
			try {
				await underWay;
			} catch (error) {
				if (!error.sentence)
					throw error;
				self.show(error);
			} finally {
				underWay = null;
			}
		},
	};
	for (const f of fields)
		f.onRepaired = () => top.firstChild && list();
	self.root = h('form', {novalidate: true, class: kind || null, onsubmit: event => { event.preventDefault(); self.submit(); }},
		place ? null : top, children ?? fields.map(f => f.root),
		h('div', {class: 'actions'}, h('button', {type: 'submit', class: 'filled'}, submit), also));
	return self;
}
