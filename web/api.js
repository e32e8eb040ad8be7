/* The server's JSON API.
 *
 *   const sites = await get('sites', {search, limit: 50}, signal)    → the object
 *   await post('registrations', {name, email})                       put(), del() likewise
 *   A failure throws an ApiError: status, code, message, remedy, details, as the server wrote them
 *   (`sentence` is message and remedy). No answer at all: code "unreachable". Aborted: code "aborted".
 *   parse(text) reads JSON; a time within a sentence becomes one of the reader's
 *   segment(name) makes a name a path segment.
 *
 * A 401 opens the sign-in dialog above the page (app.js sets how) and the request is repeated. */

import {readable} from './time.js';

export class ApiError extends Error {
	constructor(status, {code, message, remedy = null, details = {}}) {
		super(message);
		Object.assign(this, {status, code, remedy, details: details ?? {}});
	}

	get sentence() {
		return [this.message, this.remedy].filter(Boolean).join(' ');
	}
}

let csrf = '';
let signInAgain = null;

export function setCsrf(value) {
	csrf = value ?? '';
}

export function onSignedOut(ask) {
	signInAgain = ask;
}

export function segment(name) {
	return encodeURIComponent(name);
}

function address(path, query = {}) {
	const given = Object.entries(query).filter(([, v]) => v !== '' && v !== null && v !== undefined);
	return `api/${path}${given.length ? `?${new URLSearchParams(given)}` : ''}`;
}

function unreachable(cause) {
	if (cause.name === 'AbortError')
		return new ApiError(0, {code: 'aborted', message: 'Stopped.'});
	return new ApiError(0, {
		code: 'unreachable',
		message: `This page cannot reach the server at ${location.host}.`,
		remedy: 'Everseal tries again by itself; on the server, `everseal status` tells how it stands.',
	});
}

const verbatim = new Set(['ca_text', 'proof']);
const longest = '2026-11-30T03:21:25.000Z'.length;

export function parse(text) {
	return JSON.parse(text, (name, value) =>
		typeof value === 'string' && value.length > longest && !verbatim.has(name) ? readable(value) : value);
}

async function answer(response) {
	const body = await response.text().then(parse).catch(() => null);
	if (response.ok && body !== null)
		return body;
	throw new ApiError(response.status, body?.message ? body : {
		code: 'unreadable',
		message: `The server answered ${response.status}, without words.`,
		remedy: 'Its log tells more: `everseal status`.',
	});
}

async function once(method, url, body, signal) {
	const headers = {Accept: 'application/json'};
	if (body !== undefined)
		headers['Content-Type'] = 'application/json';
	if (method !== 'GET')
		headers['X-CSRF-Token'] = csrf;
	const text = body === undefined ? undefined : JSON.stringify(body);
	const response = await fetch(url, {method, headers, body: text, signal, cache: 'no-store'})
		.catch(cause => { throw unreachable(cause); });
	return answer(response);
}

async function request(method, url, body, signal) {
	try {
		return await once(method, url, body, signal);
	} catch (error) {
		if (error.status !== 401 || !signInAgain)
			throw error;
		await signInAgain();
		return once(method, url, body, signal);
	}
}

/* What import() gives, or an ApiError: the part of the page that it fetches may not come either. */
export function part(load, signal) {
	return new Promise((done, fail) => {
		signal.addEventListener('abort', () => fail(unreachable({name: 'AbortError'})));
		load().then(done, cause => fail(cause instanceof TypeError ? unreachable(cause) : cause));
	});
}

export const get = (path, query, signal) => request('GET', address(path, query), undefined, signal);
export const post = (path, body = {}, signal) => request('POST', address(path), body, signal);
export const put = (path, body = {}, signal) => request('PUT', address(path), body, signal);
export const del = (path, body, signal) => request('DELETE', address(path), body, signal);

/* For signing in itself: a 401 is the answer. */
export const session = {
	read: () => once('GET', 'api/session'),
	begin: credentials => once('POST', 'api/session', credentials),
	end: () => once('DELETE', 'api/session'),
};
