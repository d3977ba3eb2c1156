// The hosted page with a camera. Everything here is an addition: each step is a
// plain form that works without it, and the server decides and re-measures all.
"use strict";
(() => {
  const body = document.body.dataset;
  const $ = (id) => document.getElementById(id);
  // Every request says which session it means, besides its path.
  const headers = { accept: "application/json", "x-session-key": body.key };

  // Tells an embedding page what happens, in the messages its SDK listens for.
  const tell = (type, data = {}) => {
    if (window.parent !== window) {
      const message = { type: `didit:${type}`, data: { sessionId: body.session, ...data }, timestamp: Date.now() };
      window.parent.postMessage(message, "*");
    }
  };
  tell("ready", { step: body.capture || body.step, status: body.status });
  if (body.step === "result") tell("completed", { status: body.status });

  if (body.step === "waiting") {
    const poll = async () => {
      try {
        const answer = await fetch(`${body.base}/state`, { headers });
        if (answer.ok && (await answer.json()).step !== "waiting") return location.reload();
        // The cookie or the session is gone: the page says so.
        if ([403, 404, 410].includes(answer.status)) return location.reload();
      } catch { /* offline: ask again */ }
      setTimeout(poll, 1000);
    };
    setTimeout(poll, 700);
  }
  if (body.step !== "capture" || $("challenge")) return;

  const text = JSON.parse($("texts").textContent);
  const [video, still, guide, message, form] = ["video", "still", "guide", "message", "upload"].map($);
  const selfie = body.capture === "selfie";
  let stream = null;

  const stop = () => { stream?.getTracks().forEach((track) => track.stop()); stream = null; };
  addEventListener("pagehide", stop);

  const upload = async (blob, how) => {
    const data = new FormData();
    data.append("image", blob, how === "camera" ? "capture.jpg" : blob.name);
    data.append("how", how);
    const buttons = [...document.querySelectorAll("button")];
    buttons.forEach((button) => { button.disabled = true; });
    message.textContent = "";
    guide.textContent = navigator.onLine ? text.uploading : text.offline;
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, headers });
      const json = await answer.json().catch(() => ({}));
      if (answer.ok) {
        stop();
        tell("step_completed", { step: body.capture });
        return location.reload();
      }
      message.textContent = json.message || json.detail || text.failed;
    } catch {
      message.textContent = navigator.onLine ? text.failed : text.offline;
    }
    guide.textContent = "";
    buttons.forEach((button) => { button.disabled = false; });
    message.scrollIntoView({ block: "nearest" });
  };

  // Sharpness (variance of the Laplacian) and brightness of a small grey copy:
  // guidance only, the server measures again.
  const judge = (source) => {
    const width = 320, height = Math.round((320 * source.height) / source.width);
    const small = document.createElement("canvas");
    small.width = width; small.height = height;
    const context = small.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    const grey = new Float32Array(width * height);
    let sum = 0;
    for (let i = 0; i < grey.length; i++) {
      grey[i] = 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2];
      sum += grey[i];
    }
    let mean = 0, square = 0, n = 0;
    for (let y = 1; y < height - 1; y++) for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      const value = grey[i - 1] + grey[i + 1] + grey[i - width] + grey[i + width] - 4 * grey[i];
      mean += value; square += value * value; n++;
    }
    const variance = square / n - (mean / n) ** 2;
    if (sum / grey.length < 50) return text.dark;
    if (variance < 12) return text.blurry;
    return "";
  };

  const trouble = (error) => {
    const known = { NotAllowedError: text.denied, SecurityError: text.denied, NotFoundError: text.not_found,
      OverconstrainedError: text.not_found, NotReadableError: text.in_use, AbortError: text.in_use };
    message.textContent = known[error.name] || text.denied;
    $("camera").hidden = true;
    $("open-camera").hidden = false;
  };

  const open = async () => {
    message.textContent = "";
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
      message.textContent = text.insecure;
      return;
    }
    stop();
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: selfie ? "user" : "environment", width: { ideal: 1920 }, height: { ideal: 1440 } },
      });
    } catch (error) { return trouble(error); }
    tell("media_started", { mediaType: "camera" });
    video.srcObject = stream;
    video.classList.toggle("mirror", selfie);
    await video.play();
    $("open-camera").hidden = true;
    $("camera").hidden = false;
    document.querySelector(".sample").hidden = true;
    video.hidden = false; still.hidden = true;
    $("take").hidden = false; $("use").hidden = true; $("again").hidden = true;
    $("take").focus();
  };

  $("take").addEventListener("click", () => {
    still.width = video.videoWidth; still.height = video.videoHeight;
    still.getContext("2d").drawImage(video, 0, 0);
    video.hidden = true; still.hidden = false;
    $("take").hidden = true; $("use").hidden = false; $("again").hidden = false;
    guide.textContent = judge(still);
    tell("media_captured", { mediaType: "camera", isAuto: false });
    $("use").focus();
  });
  $("again").addEventListener("click", () => { guide.textContent = ""; open(); });
  $("use").addEventListener("click", () => still.toBlob((blob) => upload(blob, "camera"), "image/jpeg", 0.93));
  $("open-camera").addEventListener("click", open);
  form.addEventListener("submit", (event) => {
    const file = $("file").files[0];
    if (!file) return;
    event.preventDefault();
    upload(file, "upload");
  });
  if (navigator.mediaDevices?.getUserMedia && window.isSecureContext) $("open-camera").hidden = false;
  tell("step_started", { step: body.capture });
})();
