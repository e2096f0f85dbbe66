// Keeps the page up to date: requests it every second, and changes only what differs, so that focus,
// open details and what is being typed stay. Forms are sent without leaving the page. Without this
// script everything works with plain forms and "Reload".
"use strict";

const EVERY = 1000;
const pause = document.getElementById("pause");
let asking = false;

function sync(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !kept(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !kept(old, name)) old.setAttribute(name, value);
  }
  // Do not disturb a visitor who is filling in a form.
  const active = document.activeElement;
  if (old.nodeName === "FORM" && active && active.matches("input, select") && old.contains(active)) return;
  children(old, fresh);
}

// Attributes changed by the visitor, not by the emulator.
function kept(element, name) {
  return (element.nodeName === "DETAILS" && name === "open") || element.id === "lost";
}

function children(old, fresh) {
  const wanted = [...fresh.childNodes];
  const named = new Set(wanted.map((node) => node.id).filter(Boolean));
  let place = old.firstChild;
  for (const node of wanted) {
    // Remove elements whose id is gone, so that those after them stay the same elements.
    while (place && place.id && place.id !== node.id && !named.has(place.id)) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
    const there = node.id ? [...old.children].find((child) => child.id === node.id) : null;
    if (there && there !== place) {
      old.insertBefore(there, place);
      sync(there, node);
    } else if (place && (there || !named.has(place.id))) {
      const next = place.nextSibling;
      sync(place, node);
      place = next;
    } else {
      old.insertBefore(node, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function show(text, problem) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  if (problem) fresh.getElementById("news").after(problem.cloneNode(true));
  const before = document.activeElement;
  const around = [];
  for (let node = before; node && node !== document.body; node = node.parentElement) around.push(node);
  document.title = fresh.title;
  for (const selector of [".clock", "main"]) {
    sync(document.querySelector(selector), document.adoptNode(fresh.querySelector(selector)));
  }
  if (before && before !== document.body && !before.isConnected) {
    // The focused button is gone: focus something near it.
    const near = around.find((node) => node.isConnected && node.tabIndex >= -1 && node.hasAttribute("tabindex"));
    if (near) near.focus({ preventScroll: true });
  }
}

async function ask(url, options) {
  if (asking) return null;
  asking = true;
  try {
    const answer = await fetch(url, { cache: "no-store", ...options });
    const text = await answer.text();
    document.getElementById("lost").hidden = true;
    return { answer, text };
  } catch {
    document.getElementById("lost").hidden = false;
    return null;
  } finally {
    asking = false;
  }
}

async function refresh() {
  if (document.hidden || pause.getAttribute("aria-pressed") === "true") return;
  const got = await ask(location.href);
  // The message on a refused action stays until the next action.
  if (got) show(got.text, document.getElementById("problem"));
}

async function submit(event) {
  event.preventDefault();
  const { target: form, submitter } = event;
  while (asking) await new Promise((done) => setTimeout(done, 10));
  const body = new URLSearchParams(new FormData(form, submitter));
  const got = await ask(form.action, { method: "POST", body });
  if (!got) return;
  const there = new URL(got.answer.url);
  if (got.answer.redirected && there.pathname !== location.pathname) {
    location.assign(there);
    return;
  }
  show(got.text);
  const problem = document.getElementById("problem");
  if (problem) problem.focus();
}

document.getElementById("reload").hidden = true;
pause.hidden = false;
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  refresh();
});
document.addEventListener("submit", submit);
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, EVERY);
