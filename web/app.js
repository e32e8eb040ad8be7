/* The page begins: who is here, then the shell and its views, or the way in. */
import {onSignedOut, session as calls, setCsrf} from './api.js';
import * as live from './live.js';
import * as router from './router.js';
import {showShell, updatePerson} from './shell.js';
import {setServerTime, startClock} from './time.js';
import {failure, paper} from './parts.js';

const routes = [
	['lets-encrypt', () => import('./views/home.js')],
	['lets-encrypt/configure', () => import('./views/configure.js')],
	['sites', () => import('./views/sites.js')],
	['sites/*', () => import('./views/site.js')],
	['bindings', () => import('./views/bindings.js')],
	['issuers', () => import('./views/issuers.js')],
	['alerts', () => import('./views/alerts.js')],
	['people', () => import('./views/people.js')],
	['tasks', () => import('./views/tasks.js')],
	['tasks/*', () => import('./views/task.js')],
	['audit', () => import('./views/audit.js')],
	['diagnosis', () => import('./views/diagnosis.js')],
	['diagnosis/*', () => import('./views/diagnosis.js')],
	['account', () => import('./views/account.js')],
	['not-found', () => import('./views/not-found.js')],
];
const app = document.getElementById('app');

/* The link's token leaves address bar and history at once. */
function takeSetupToken() {
	const token = location.hash.match(/^#setup=(.+)$/)?.[1] ?? '';
	if (token)
		history.replaceState(null, '', '#/lets-encrypt');
	return token;
}

let scope = null;

function accept(session) {
	scope = session.scope;
	setCsrf(session.csrf);
	setServerTime(session.server_time);
	router.setSession(session);
}

async function outside(setupToken, info) {
	const module = setupToken ? await import('./views/setup.js') : await import('./views/sign-in.js');
	app.className = 'outside';
	module.view(app, {token: setupToken, ...info, done: inside});
}

let asking = null;

/* Above the page: what was typed stays, the request is repeated afterwards. */
function signInAgain() {
	asking ??= import('./views/sign-in.js').then(module => module.dialog()).then(session => {
		takeOver(session);
		asking = null;
	});
	return asking;
}

/* A person may do more now, or less: the view is drawn anew, with what was typed. */
function takeOver(session) {
	const other = session.scope !== scope;
	accept(session);
	updatePerson(session, other);
	if (other && !location.hash.startsWith('#/account')) // which shows what is shown once
		router.reopen();
}

/* Told at once while the page is live; what was missed is seen once it is live again. */
async function readSession() {
	const session = await calls.read().catch(() => null);
	if (session && !asking)
		takeOver(session);
}

function inside(session) {
	accept(session);
	if (location.hash === '#/sign-in')
		history.replaceState(null, '', '#/lets-encrypt');
	const {view, waiting} = showShell(app, session);
	onSignedOut(signInAgain);
	live.on('session', ({ended}) => ended || readSession());
	live.on('again', readSession);
	live.start();
	router.start(routes, view, waiting);
}

async function begin() {
	const token = takeSetupToken();
	if (token)
		return outside(token, {});
	try {
		inside(await calls.read());
	} catch (error) {
		if (error.status === 401)
			return outside('', {setup: error.details.setup ?? false, selfMade: error.details.self_made});
		if (!error.sentence)
			throw error;
		app.replaceChildren(paper(failure(error, begin)));
	}
}

function theme() {
	try {
		return localStorage.getItem('theme');
	} catch {
		return null;
	}
}

const chosen = theme();
if (chosen)
	document.documentElement.dataset.theme = chosen;
startClock();
window.addEventListener('hashchange', () => location.hash.startsWith('#setup=') && location.reload());
begin();
