// Active liveness: shows the server's challenge, records frames with their times, sends them in batches. It decides
// nothing: whether the recording shows a live person, the server finds out.
"use strict";
(() => {
  const section = document.getElementById("challenge");
  if (!section) return;
  const base = document.body.dataset.base;
  const $ = (id) => document.getElementById(id);
  const text = JSON.parse($("challenge-texts").textContent);
  const message = $("challenge-message");
  // Every request says which session it means, besides its path.
  const json = { accept: "application/json", "x-session-key": document.body.dataset.key };
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  if (section.dataset.state === "judging") {
    const poll = async () => {
      try {
        const answer = await fetch(`${base}/state`, { headers: json });
        if (answer.ok && (await answer.json()).liveness?.state !== "judging") return location.reload();
        // The cookie or the session is gone: the page says so.
        if ([403, 404, 410].includes(answer.status)) return location.reload();
      } catch { /* offline: ask again */ }
      setTimeout(poll, 1000);
    };
    setTimeout(poll, 700);
    return;
  }
  const start = $("challenge-start");
  if (!start) return;
  if (!navigator.mediaDevices?.getUserMedia || !window.isSecureContext) {
    document.querySelector(".instead").open = true;
    message.textContent = text.insecure;
    return;
  }

  // Light is not for whoever asked for less motion; moving is not for everybody: each is the other's alternative.
  let kind = section.dataset.method;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) kind = "ACTIVE_3D";
  const choose = () => {
    $("about-ACTIVE_3D").hidden = kind !== "ACTIVE_3D";
    $("about-FLASHING").hidden = kind !== "FLASHING";
    $("challenge-other").textContent = kind === "ACTIVE_3D" ? text.other_flashes : text.other_moves;
  };
  choose();
  start.hidden = false;
  // Open without a script; with one the camera comes first.
  document.querySelector(".instead").open = false;
  $("challenge-other").addEventListener("click", () => {
    kind = kind === "ACTIVE_3D" ? "FLASHING" : "ACTIVE_3D";
    choose();
    $("challenge-begin").focus();
  });

  const run = $("challenge-run"), video = $("challenge-video"), prompt = $("prompt"), arrow = $("arrow");
  let stream = null, stopped = false, left = Number(section.dataset.left);
  const stop = () => { stream?.getTracks().forEach((track) => track.stop()); stream = null; };
  addEventListener("pagehide", stop);
  $("challenge-stop").addEventListener("click", () => { stopped = true; });

  const fail = (sentence) => {
    stop();
    if (left === 0) return location.reload();
    run.hidden = true; start.hidden = false;
    run.classList.remove("lit");
    message.textContent = sentence;
    document.querySelector(".instead").open = true;
    $("challenge-begin").focus();
  };

  const send = async (nonce, batch, frames, last, camera) => {
    const data = new FormData();
    data.append("nonce", nonce);
    data.append("batch", batch);
    data.append("last", last);
    data.append("camera", camera);
    data.append("times", frames.map((frame) => frame.at).join(","));
    frames.forEach((frame, index) => data.append(`frame_${index}`, frame.blob, "frame.jpg"));
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await fetch(`${base}/frames`, { method: "POST", body: data, headers: json });
        if (answer.ok) return;
        if (answer.status !== 503 || attempt >= 4) throw new Error((await answer.json().catch(() => ({}))).code || "refused");
      } catch (error) {
        if (!(error instanceof TypeError) || attempt >= 4) throw error;
      }
      await wait(500 * (attempt + 1));
    }
  };

  const signs = { left: "←", right: "→", up: "↑", down: "↓" };
  const show = (challenge, at) => {
    if (challenge.prompts) {
      const now = challenge.prompts.filter((p) => p.at_ms <= at).pop();
      const asked = now && at < now.at_ms + 900 ? now.action : null;
      const words = asked ? text[asked] : now ? text.middle : text.ready;
      if (prompt.textContent !== words) prompt.textContent = words;
      if (asked) { arrow.dataset.sign = signs[asked]; arrow.dataset.place = asked; } else { delete arrow.dataset.sign; }
    } else {
      const now = challenge.flashes.filter((f) => f.at_ms <= at).pop();
      run.style.backgroundColor = now ? `rgb(${now.rgb.map((on) => (on ? 255 : 0)).join(",")})` : "#808080";
      if (prompt.textContent !== text.still) prompt.textContent = text.still;
    }
    $("challenge-progress").value = Math.min(100, (100 * at) / challenge.duration_ms);
  };

  const record = async (challenge, camera) => {
    const canvas = document.createElement("canvas");
    const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const context = canvas.getContext("2d");
    const begun = performance.now();
    let frames = [], batch = 0, sending = Promise.resolve();
    const flush = (last) => {
      const [number, taken] = [batch++, frames];
      frames = [];
      sending = sending.then(() => send(challenge.nonce, number, taken, last, camera));
      sending.catch(() => { stopped = true; });
    };
    for (;;) {
      const at = Math.round(performance.now() - begun);
      show(challenge, at);
      if (stopped || document.hidden) { await sending; throw new Error("interrupted"); }
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
      frames.push({ at, blob });
      const over = at >= challenge.duration_ms;
      if (over || frames.length >= challenge.batch_frames) flush(over);
      if (over) break;
      const next = at + challenge.frame_every_ms - (performance.now() - begun);
      // The picture follows the light and the arrows between two frames as well.
      if (next > 60) { await wait(next / 2); show(challenge, performance.now() - begun); }
      await wait(Math.max(5, at + challenge.frame_every_ms - (performance.now() - begun)));
    }
    prompt.textContent = text.uploading;
    run.style.backgroundColor = "";
    await sending;
  };

  $("challenge-begin").addEventListener("click", async () => {
    message.textContent = "";
    stopped = false;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } },
      });
    } catch (error) {
      const known = { NotFoundError: text.not_found, OverconstrainedError: text.not_found, NotReadableError: text.in_use, AbortError: text.in_use };
      return fail(known[error.name] || text.denied);
    }
    video.srcObject = stream;
    await video.play();
    start.hidden = true; run.hidden = false;
    run.classList.toggle("lit", kind === "FLASHING");
    prompt.textContent = text.ready;
    run.scrollIntoView({ block: "start" });
    await wait(1200);
    try {
      const answer = await fetch(`${base}/challenge`, {
        method: "POST", headers: { ...json, "content-type": "application/x-www-form-urlencoded" }, body: `kind=${kind}`,
      });
      if (!answer.ok) return location.reload();
      left -= 1;
      $("attempts").textContent = text.attempts_left.replace("{n}", left);
      await record(await answer.json(), stream.getVideoTracks()[0]?.label || "");
      stop();
      location.reload();
    } catch (error) {
      fail(error.message === "interrupted" ? text.interrupted : text.failed);
    }
  });
})();
