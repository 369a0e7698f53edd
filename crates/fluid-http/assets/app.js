// Keeps the page up to date. Everything works without it, by forms and links.
(() => {
  'use strict';
  const root = document.documentElement;
  const THEMES = ['auto', 'light', 'dark'];

  const kept = () => {
    try { return localStorage.getItem('fluid-theme') || 'auto'; } catch { return 'auto'; }
  };
  const wear = (theme) => {
    if (theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  // Before anything is drawn.
  wear(kept());

  document.addEventListener('DOMContentLoaded', () => {
    theme();
    const follow = log();
    live(follow);
  });

  function theme() {
    const button = document.getElementById('theme');
    const show = (theme) => { button.textContent = `Theme: ${theme}`; };
    button.hidden = false;
    show(kept());
    button.addEventListener('click', () => {
      const next = THEMES[(THEMES.indexOf(kept()) + 1) % THEMES.length];
      try { localStorage.setItem('fluid-theme', next); } catch { /* only for this page then */ }
      wear(next);
      show(next);
    });
  }

  // One stream while the tab is seen; what changed is asked for and put in place.
  function live(follow) {
    const address = document.body.dataset.news;
    if (!address || !window.EventSource) return;
    const link = document.getElementById('link');
    let stream, timer, pause = 1000, busy = false, again = false;

    const tell = (words) => { if (link.textContent !== words) link.textContent = words; };
    const refresh = () => {
      if (!window.htmx) return;
      if (busy) { again = true; return; }
      busy = true;
      htmx.ajax('GET', location.pathname + location.search, { target: '#live', swap: 'morph:outerHTML show:none' })
        .catch(() => {})
        .then(() => { busy = false; if (again) { again = false; refresh(); } });
    };
    const open = () => {
      clearTimeout(timer);
      if (stream || document.hidden) return;
      stream = new EventSource(address);
      stream.addEventListener('open', () => { pause = 1000; tell('live'); refresh(); follow(); });
      stream.addEventListener('news', ({ data }) => {
        if (data.includes('changed')) refresh();
        if (data.includes('log')) follow();
      });
      stream.addEventListener('error', () => {
        close();
        tell('not connected');
        timer = setTimeout(open, pause * (0.5 + Math.random()));
        pause = Math.min(pause * 2, 30000);
      });
    };
    const close = () => {
      clearTimeout(timer);
      if (stream) stream.close();
      stream = undefined;
    };
    document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else open(); });
    addEventListener('pagehide', close);
    addEventListener('pageshow', open);

    document.body.addEventListener('htmx:configRequest', ({ detail }) => {
      const part = document.getElementById('live');
      if (part && detail.verb === 'get') detail.headers['Fluid-Seen'] = part.dataset.print;
    });
    document.body.addEventListener('htmx:afterRequest', ({ detail }) => {
      const said = detail.elt?.dataset?.said;
      if (!detail.successful) tell(detail.xhr?.status ? `the server answers ${detail.xhr.status}` : 'not connected');
      else tell(said || 'live');
    });
    // What somebody opened stays open.
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
      !(name === 'open' && node.tagName === 'DETAILS');
    open();
  }

  // Adds new lines of the log below, and keeps to the end as long as the end is seen.
  function log() {
    const box = document.getElementById('log');
    if (!box) return () => {};
    const MOST = 20000;
    const older = document.getElementById('older');
    const edge = (end) => Number((end ? box.lastElementChild : box.firstElementChild)?.dataset.position || 0);
    const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 8;
    const get = async (query) => {
      const answer = await fetch(`${box.dataset.lines}?${query}`);
      if (!answer.ok) throw new Error(answer.status);
      return (await answer.text()).trim();
    };
    let busy = false, again = false;
    box.scrollTop = box.scrollHeight;

    if (older) older.addEventListener('click', async (event) => {
      event.preventDefault();
      const height = box.scrollHeight;
      const lines = await get(`before=${edge(false)}`).catch(() => '');
      if (lines) box.insertAdjacentHTML('afterbegin', lines);
      box.scrollTop += box.scrollHeight - height;
      if (edge(false) <= 1 || !lines) older.remove();
      else older.href = older.href.replace(/before=\d+/, `before=${edge(false)}`);
    });

    return async function follow() {
      if (busy) { again = true; return; }
      busy = true;
      try {
        for (let lines = ' '; lines;) {
          lines = await get(`after=${edge(true)}`);
          if (!lines) break;
          const stick = atEnd();
          box.insertAdjacentHTML('beforeend', lines);
          document.getElementById('log-more').textContent = '';
          if (stick) {
            while (box.childElementCount > MOST) box.firstElementChild.remove();
            box.scrollTop = box.scrollHeight;
          }
        }
      } catch { /* the next news try again */ }
      busy = false;
      if (again) { again = false; follow(); }
    };
  }
})();
