"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const config = JSON.parse($("config").textContent);
  // The base is relative to the page's address with a slash at its end, which a proxy may have removed or
  // added. The address is without a password, which fetch refuses.
  const base = new URL(config.base, location.origin + location.pathname.replace(/\/?$/, "/"));
  const glyphs = {ok: "✓", healthy: "✓", warning: "!", degraded: "!", error: "✕", unhealthy: "✕"};
  const off = {status: "off", word: "○ switched off"}; // a switch that the application has turned off
  const isOff = (c) => Boolean(c.switch) && c.check.status === "error" && c.check.reason !== "stale";
  const rank = {error: 0, warning: 1, ok: 2};
  const store = {
    get(key) { try { return localStorage.getItem("echohealth-" + key); } catch { return null; } },
    set(key, value) {
      try { localStorage.setItem("echohealth-" + key, value); } catch { /* a private window */ }
    },
  };

  const state = {
    window: ["10m", "24h"].find((window) => window === store.get("window")) || "1h", problems: false,
      paused: false, theme: store.get("theme") || "system",
    instances: new Map(), instance: "", failures: 0, timer: 0, said: "",
    chosen: new Map(), // the time that was chosen in the bar of a check
  };

  // el makes an element: attributes by name, children that are nodes or text.
  function el(name, attributes, ...children) {
    const e = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === true) e.setAttribute(key, "");
      else if (value !== undefined && value !== false && value !== null) e.setAttribute(key, value);
    }
    e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
    return e;
  }

  function duration(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60 && s < 600 ? s % 60 + " s" : "");
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
  }
  const clock = (time) => {
    const at = new Date(time), today = at.toDateString() === new Date().toDateString();
    const date = today ? "" : at.toLocaleDateString([], {month: "short", day: "numeric"}) + " ";
    return date + at.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit"});
  };
  const percent = (share) => (share === null ? "no data" :
    (share >= 1 ? "100" : (Math.floor(share * 1e4) / 100).toString()) + " %");
  const ms = (value) => (value === null ? "no data" : (value < 10 ? value.toFixed(2) : Math.round(value)) +
    " ms");

  async function ask(path) {
    const response = await fetch(new URL(path, base),
      {headers: {Accept: "application/json"}, cache: "no-store", signal: AbortSignal.timeout(10000)});
    if (!response.ok) throw new Error(String(response.status));
    return response.json();
  }

  async function poll(once = false) {
    clearTimeout(state.timer);
    if (document.hidden || (state.paused && !once)) return;
    const asked = state.window;
    try {
      // In turns, or a balancer would always have the same instance answer the same question.
      state.turn = !state.turn;
      const paths = ["detailed/", "history/?window=" + asked];
      for (const path of state.turn ? paths : paths.reverse()) {
        const document = await ask(path), known = state.instances.get(document.instance) || {};
        if (asked !== state.window) return; // another poll asks for the window that was chosen since
        known[path === "detailed/" ? "now" : "past"] = document;
        known.at = Date.now();
        state.instances.set(document.instance, known);
      }
      for (const [id, known] of state.instances) {
        if (Date.now() - known.at > 300000) state.instances.delete(id);
      }
      state.failures = 0;
    } catch (error) {
      state.failures++;
      state.failure = error.message;
    }
    render();
    const pause = Math.min(60, 5 * 2 ** Math.min(state.failures, 4));
    state.timer = setTimeout(poll, pause * 1000);
  }

  // shown is the instance on the page: the one that was chosen, or the one that was met last.
  function shown() {
    let last = null;
    for (const [id, known] of state.instances) {
      if (id === state.instance && known.now) return known;
      if (known.now && (!last || known.at >= last.at)) last = known;
    }
    return last;
  }

  function render() {
    const known = shown();
    const silent = known && Date.now() - known.at > 60000 && !state.paused;
    const stale = state.failures ? "The service can't be reached" : silent ?
      "This instance has not answered for a minute" : "";
    const code = state.failures && /^\d+$/.test(state.failure) ? " (" + state.failure + ")" : "";
    $("stale").hidden = !stale;
    $("stale").textContent = stale + code + ". What is shown may be old.";
    if (stale) announce(stale);
    if (!known) return;
    const checks = Object.entries(known.now.checks).map(([name, check]) => ({
      name, check, ...(config.components[name] || {}),
        past: (known.past ? known.past.components : []).find((c) => c.name === name),
    }));
    checks.sort((a, b) => rank[a.check.status] - rank[b.check.status]);
    const said = banner(known.now, checks);
    if (!stale) announce("Now " + said);
    groups(known.now.groups);
    for (const [id, system] of [["dependencies", false], ["system", true]]) {
      const list = checks.filter((c) => Boolean(c.system) === system &&
        !(state.problems && c.check.status === "ok"));
      update($(id), list.map((c) => card(c, known)), list.length || "none");
    }
    journal(known.past);
    replicas(known);
    $("when").textContent = "As of " + clock(known.now.timestamp) + (state.paused ? ", paused" : "") + ".";
    if (known.past) $("since").textContent = "The history begins at " +
      new Date(known.past.since).toLocaleString() +
      ", when this process started. Availability counts only the time in which it ran.";
  }

  // update replaces the children of a list, and keeps the focus where it was.
  function update(list, items, count) {
    const active = document.activeElement;
    const focused = active && active.dataset ? active.dataset.focus : "";
    list.replaceChildren(...items);
    if (count === "none") list.append(el("li", {class: "muted"}, "Nothing."));
    if (focused) list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  // announce tells a screen reader what has changed, and nothing twice.
  function announce(text) {
    if (text === state.said) return;
    if (state.said) $("live").textContent = text; // the first state is read with the page
    state.said = text;
  }

  // banner shows the state of the service, and returns it in words.
  function banner(now, checks) {
    const bad = checks.filter((c) => c.check.status !== "ok"),
      errors = bad.filter((c) => c.check.status === "error");
    const switched = now.status === "unhealthy" && errors.length > 0 && errors.every(isOff);
    const phase = now.phase ? {draining: "Draining: not ready, and will stop soon.",
      starting: "Starting: not ready yet."}[now.phase] : "";
    const box = $("banner");
    box.className = "banner s-" + (now.phase || switched ? "off" : now.status);
    const glyph = switched ? "○" : glyphs[now.status] || "?";
    $("status").textContent = glyph + " " + (switched ? "Switched off" : now.status[0].toUpperCase() +
      now.status.slice(1));
    $("why").textContent = [phase, ...bad.slice(0, 3).map((c) =>
      c.name + ": " + c.check.reason + (c.check.since ? " for " +
        duration((Date.parse(now.timestamp) - Date.parse(c.check.since)) / 1000) : "")),
    bad.length > 3 ? "and " + (bad.length - 3) + " more" : "",
    bad.length || phase ? "" : "Every check is ok."].filter(Boolean).join(" · ");
    const short = bad.length ? bad[0].name + " " + bad[0].check.reason : now.status;
    document.title = glyph + " " + short + " – health";
    const colours = {healthy: "#1a7f37", degraded: "#bf8700", unhealthy: "#cf222e"};
    const colour = colours[now.phase || switched ? "" : now.status] || "#6e7781";
    $("icon").href = $("icon").href.replace(/%23\w+/, encodeURIComponent(colour));
    return (switched ? "switched off" : now.status) + (phase ? ", " + now.phase : "") +
      (bad.length ? ": " + bad.map((c) => c.name + " " + c.check.reason).join(", ") : "");
  }

  // groups are the parts of the service, with links to the cards of their checks.
  function groups(all) {
    $("groups").parentNode.hidden = !all; // of several instances one may have groups, and another none
    if (all) update($("groups"), Object.entries(all).map(([name, group]) => {
      const ready = group.status === "ready";
      const links = group.checks.flatMap((check, i) => [i ? ", " : "",
        el("a", {href: "#check-" + check, "data-focus": name + "/" + check}, check)]);
      return el("li", {class: "s-" + (ready ? "ok" : "error")}, el("strong", {}, name), " ",
        el("span", {class: "word"}, ready ? "✓ ready" : "✕ not ready"), ": ", ...links);
    }));
  }

  const shownMembers = new Set(["status", "reason", "response_time_ms", "since", "last_ok", "percent"]);

  function card(c, known) {
    const {name, check} = c;
    const box = el("li", {class: "card s-" + (isOff(c) ? off.status : check.status), id: "check-" + name},
      el("header", {}, el("h3", {}, name), el("span", {class: "word"},
        isOff(c) ? off.word : glyphs[check.status] + " " + check.status)));
    if (check.reason) {
      const link = el("a", {href: config.troubleshooting + check.reason}, check.reason);
      const known = config.reasons[check.reason];
      box.append(el("p", {class: "why"}, known ? link : check.reason,
        known ? el("small", {}, " " + known) : ""));
    }
    if (c.apart) box.append(el("p", {class: "muted"}, "Readiness does not depend on it."));
    if (check.percent !== undefined) box.append(gauge(name, check.percent, c));
    const facts = el("dl");
    const fact = (term, value) => facts.append(el("dt", {}, term), el("dd", {}, value));
    if (check.since) fact(check.status + " for",
      duration((Date.parse(known.now.timestamp) - Date.parse(check.since)) / 1000));
    if (check.last_ok) fact("last ok", clock(check.last_ok));
    if (check.response_time_ms !== undefined) fact("response time", ms(check.response_time_ms));
    if (c.past) {
      fact("availability while up, " + state.window, percent(c.past.availability));
      if (c.past.incidents) fact("incidents", String(c.past.incidents));
    }
    for (const [key, value] of Object.entries(check)) {
      if (!shownMembers.has(key)) fact(key.replaceAll("_", " "), String(value));
    }
    box.append(facts);
    if (c.past && known.past) {
      box.append(past(c, known.past));
      if (!c.system) box.append(spark(c.past));
    }
    return box;
  }

  function gauge(name, value, c) {
    const box = el("div", {class: "gauge", role: "img", "aria-label": `${name}: ${value} percent` +
      (c.warning ? `, warning above ${c.warning}` : "") +
      (c.critical ? `, critical above ${c.critical}` : "")}, el("b"));
    box.firstChild.style.setProperty("--v", Math.min(100, value) + "%");
    for (const mark of [c.warning, c.critical]) {
      if (mark) box.append(el("i")), box.lastChild.style.setProperty("--v", mark + "%");
    }
    return box;
  }

  const words = {o: "ok", w: "warning", e: "error", "-": "no data"};

  // past is a bar of past states. A range input lies over it, so that mouse, finger and keys choose a step.
  function past(c, history) {
    const steps = [...c.past.status];
    const at = (i) => Date.parse(history.from) + i * history.step_seconds * 1000;
    const tell = (i) => {
      const until = at(i) + history.step_seconds * 1000;
      const lasted = (t) =>
        history.transitions.find((n) => n.component === c.name && n.at > t.at)?.after_seconds;
      const reasons = history.transitions.filter((t) => t.component === c.name && t.reason &&
        Date.parse(t.at) < until && Date.parse(t.at) + 1000 * (lasted(t) ?? 1e9) >= at(i));
      const reason = "we".includes(steps[i]) && reasons.length ? ", " +
        [...new Set(reasons.map((t) => t.reason))].join(", ") : "";
      return clock(at(i)) + ": " + words[steps[i]] + reason +
        (c.past.max_ms[i] === null || c.system ? "" : ", at most " + ms(c.past.max_ms[i]));
    };
    const out = el("output", {"aria-live": "off"});
    const last = steps.length - 1;
    const chosen = Math.round((state.chosen.get(c.name) - at(0)) / (history.step_seconds * 1000));
    const input = el("input", {type: "range", min: 0, max: last,
      value: chosen >= 0 ? Math.min(chosen, last) : last, "aria-label": `${c.name}, the last ${state.window}`,
      "data-focus": "past-" + c.name});
    const show = () => {
      state.chosen.set(c.name, at(+input.value));
      out.textContent = tell(+input.value);
      input.setAttribute("aria-valuetext", out.textContent);
    };
    if (chosen >= 0) show();
    else input.setAttribute("aria-valuetext", tell(last));
    input.addEventListener("input", show);
    input.addEventListener("focus", show);
    input.addEventListener("pointermove", (event) => {
      const box = input.getBoundingClientRect();
      input.value = Math.floor((event.clientX - box.left) / box.width * steps.length);
      show();
    });
    const bar = el("div", {class: "bar", "aria-hidden": "true"},
      ...steps.map((s) => el("i", {class: "s-" + (s === "-" ? "none" : words[s])})));
    return el("div", {class: "past"}, input, bar, out);
  }

  // spark is the response times as a line, broken where there is no data.
  function spark(past) {
    const most = Math.max(...past.max_ms.map((v) => v ?? 0));
    let d = "", pen = "M";
    past.max_ms.forEach((value, i) => {
      if (value === null) { pen = "M"; return; }
      // A value without neighbours is drawn as a dot.
      d += `${pen}${i} ${(19 - 18 * value / (most || 1)).toFixed(1)}` + (pen === "M" ? "h.01" : "");
      pen = "L";
    });
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const attributes = {class: "spark", viewBox: `0 0 ${past.max_ms.length} 20`, preserveAspectRatio: "none",
      role: "img", "aria-label": "Response times, at most " + ms(most)};
    for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", d);
    svg.append(path);
    return svg;
  }

  // journal shows the changes, those of one incident together, newest first.
  function journal(history) {
    if (!history) return;
    $("journal").parentNode.hidden = false;
    const incidents = [], open = new Map();
    for (const t of history.transitions) {
      let incident = open.get(t.component);
      if (!incident) {
        // What was bad before the window began is shown from where it began.
        const bad = t.from && t.from !== "ok";
        const began = Date.parse(t.at) - (bad ? t.after_seconds * 1000 : 0);
        incident = {component: t.component, began,
          changes: bad ? [{to: t.from, at: new Date(began).toISOString()}] : []};
        incidents.push(incident);
        open.set(t.component, incident);
      }
      incident.changes.push(t);
      if (t.to === "ok") open.delete(t.component);
    }
    const items = incidents.reverse().slice(0, 50).map(({component, changes, began}) => {
      const last = changes.at(-1), over = last.to === "ok";
      const worst = changes.some((t) => t.to === "error") ? "error" :
        changes.some((t) => t.to === "warning") ? "warning" : "ok";
      const ended = over ? Date.parse(last.at) : Date.parse(history.generated_at);
      const reasons = [...new Set(changes.map((t) => t.reason).filter(Boolean))].join(", ");
      return el("li", {class: "s-" + (over ? "ok" : worst)},
        el("strong", {}, component), ` ${worst}${reasons ? " (" + reasons + ")" : ""}: `,
        over ? `${clock(began)} to ${clock(ended)}, ${duration((ended - began) / 1000)}` :
          `since ${clock(began)}, for ${duration((ended - began) / 1000)}`,
        changes.length > 2 ? el("ul", {}, ...changes.map((t) => el("li", {},
          `${clock(t.at)} ${t.to}${t.reason ? " (" + t.reason + ")" : ""}`))) : "");
    });
    update($("journal"), items, items.length || "none");
  }

  function replicas(known) {
    const ids = [...state.instances].filter(([, i]) => i.now);
    $("replica").hidden = ids.length < 2;
    const select = $("instance");
    if (select.options.length !== ids.length + 1) {
      select.replaceChildren(el("option", {value: ""}, "the last one that responded"),
        ...ids.map(([id]) => el("option", {value: id}, id)));
      select.value = state.instance;
    }
    $("met").textContent = ids.length < 2 ? "" : `${ids.length} instances have answered so far: ` +
      ids.map(([id, i]) => `${id} ${i.now.phase || i.now.status}`).join(", ") + ".";
    $("which").textContent = "Instance " + known.now.instance +
      (known.now.version ? ", version " + known.now.version : "") + ".";
  }

  function report() {
    const known = shown();
    if (!known) return "";
    const {now, past} = known;
    const phase = now.phase ? " (" + now.phase + ")" : "";
    const lines = [`${location.host}: ${now.status}${phase} at ${now.timestamp}`,
      `instance ${now.instance}${now.version ? ", version " + now.version : ""}`, ""];
    for (const [name, check] of Object.entries(now.checks)) {
      lines.push(`${name}: ${check.status}` + (check.reason ? " " + check.reason : "") +
        (check.since ? " since " + check.since : "") + (check.last_ok ? `, last ok ${check.last_ok}` : "") +
        (check.response_time_ms !== undefined ? `, ${check.response_time_ms} ms` : ""));
    }
    for (const [name, group] of Object.entries(now.groups || {})) {
      lines.push(`group ${name}: ${group.status} (${group.checks.join(", ")})`);
    }
    if (past && past.transitions.length) lines.push("", "Changes:", ...past.transitions.slice(-20).map((t) =>
      `${t.at} ${t.component}: ${t.from || "unknown"} -> ${t.to}${t.reason ? " (" + t.reason + ")" : ""}`));
    return lines.join("\n") + "\n";
  }

  async function copy() {
    const text = report();
    try {
      await navigator.clipboard.writeText(text);
    } catch { // without TLS there is no clipboard
      const area = el("textarea", {class: "sr", "aria-hidden": "true"});
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy a report"; }, 2000);
  }

  function theme(value) {
    state.theme = value;
    store.set("theme", value);
    if (value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
  }

  function toggle(id, key, then) {
    $(id).addEventListener("click", () => {
      state[key] = !state[key];
      $(id).setAttribute("aria-pressed", String(state[key]));
      then();
    });
  }

  $("tools").hidden = false;
  $("window").value = state.window;
  $("theme").value = state.theme;
  theme(state.theme);
  $("window").addEventListener("change", (event) => {
    state.window = event.target.value;
    store.set("window", state.window);
    for (const known of state.instances.values()) delete known.past;
    poll(true);
  });
  $("theme").addEventListener("change", (event) => theme(event.target.value));
  $("instance").addEventListener("change", (event) => { state.instance = event.target.value; render(); });
  $("copy").addEventListener("click", copy);
  toggle("pause", "paused", () => { render(); poll(); });
  toggle("problems", "problems", render);
  document.addEventListener("visibilitychange", () => poll());
  poll();
})();
