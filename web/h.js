/* Building and renewing elements. Text goes in as text nodes only.
 *
 *   h('p', {class: 'hint', hidden: isOff}, 'Text ', h('b', {}, name), null, [more])
 *     attributes: null, undefined and false are left out, true is ""; `onclick: f` listens;
 *     `style: {left: '10%'}` goes by CSSOM, as the CSP wants it; `value`, `checked`, `indeterminate` are set as properties; `aria-pressed: 'false'` needs text.
 *   s('path', {d: '…'})          the same in SVG
 *   icon('ok')                   a symbol of index.html, hidden from screen readers
 *   said('Run `everseal status`.')   a sentence of the server, its commands as code
 *   update(place, ...children)   makes place's children as given by changing those that stand
 *     there: focus, scroll, open details and what was typed stay. `key` pairs rows by identity.
 *     A checkbox with `controlled: true` follows its `checked`.
 *     An element with `own: KEY` keeps its inside as it is for as long as KEY is the same. */

const SVG = 'http://www.w3.org/2000/svg';
const properties = new Set(['value', 'checked', 'indeterminate']);
const typed = new Set(['INPUT', 'SELECT', 'TEXTAREA']);

function dispatch(event) {
	event.currentTarget.handlers[event.type]?.call(event.currentTarget, event);
}

/* The same listener is added once only, however often. */
function listen(element, handlers) {
	element.handlers = handlers;
	for (const type of Object.keys(handlers))
		element.addEventListener(type, dispatch);
}

function set(element, name, value) {
	if (name === 'key' || name === 'own' || name === 'controlled')
		element[name] = value;
	else if (name === 'style')
		Object.assign(element.style, value);
	else if (typeof value === 'function')
		listen(element, {...element.handlers, [name.slice(2)]: value});
	else if (properties.has(name))
		element[name] = value ?? '';
	else if (value !== null && value !== undefined && value !== false)
		element.setAttribute(name, value === true ? '' : value);
}

function build(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {}))
		if (!properties.has(name))
			set(element, name, value);
	element.append(...nodes(children));
	for (const name of properties)
		if (attributes && name in attributes)
			set(element, name, attributes[name]);
	return element;
}

function nodes(children) {
	return children.flat(Infinity).filter(c => c !== null && c !== undefined && c !== false && c !== '');
}

export function h(tag, attributes, ...children) {
	return build(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
	return build(document.createElementNS(SVG, tag), attributes, children);
}

export function icon(name, kind = '') {
	return s('svg', {class: `icon icon-${name} ${kind}`.trim(), 'aria-hidden': 'true', focusable: 'false'},
		s('use', {href: `#i-${name}`}));
}

export function said(text) {
	return (text ?? '').split('`').map((part, i) => i % 2 ? h('code', {}, part) : part);
}

export function update(place, ...children) {
	const fresh = nodes(children).map(c => c instanceof Node ? c : document.createTextNode(c));
	renewChildren(place, fresh);
}

function same(old, fresh) {
	return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName &&
		old.key === fresh.key && old.id === fresh.id && !('own' in fresh && old.own !== fresh.own);
}

function renewChildren(place, fresh) {
	const keyed = new Map([...place.childNodes].filter(n => n.key !== undefined).map(n => [n.key, n]));
	let at = place.firstChild;
	for (const node of fresh) {
		const old = node.key === undefined ? at : keyed.get(node.key) ?? at;
		if (old && old === node) {
			at = old.nextSibling;
		} else if (old && same(old, node)) {
			if (old !== at)
				place.insertBefore(old, at);
			else
				at = at.nextSibling;
			renew(old, node);
		} else {
			place.insertBefore(node, at);
		}
	}
	while (at) {
		const next = at.nextSibling;
		at.remove();
		at = next;
	}
}

function renew(old, fresh) {
	if (old.nodeType === Node.TEXT_NODE) {
		if (old.data !== fresh.data)
			old.data = fresh.data;
		return;
	}
	if ('own' in fresh)
		return;
	for (const {name} of [...old.attributes])
		if (!fresh.hasAttribute(name) && name !== 'open')
			old.removeAttribute(name);
	for (const {name, value} of fresh.attributes)
		if (name === 'style')
			old.style.cssText = fresh.style.cssText;
		else if (name !== 'open' && old.getAttribute(name) !== value)
			old.setAttribute(name, value);
	if (old.handlers || fresh.handlers)
		listen(old, fresh.handlers ?? {});
	if (fresh.controlled)
		Object.assign(old, {checked: fresh.checked});
	if (!typed.has(old.nodeName) || old.nodeName === 'SELECT')
		renewChildren(old, [...fresh.childNodes]);
}
