// What plain HTML cannot do alone. No library, nothing from elsewhere.
window.yidao = {
  // Bring a notice into view and let screen readers and keyboards start there.
  show(id) {
    const box = document.getElementById(id);
    if (box) {
      box.scrollIntoView({ block: "nearest" });
      box.focus({ preventScroll: true });
    }
  },

  focus(id) {
    const field = document.getElementById(id);
    if (field) {
      field.scrollIntoView({ block: "center" });
      field.focus({ preventScroll: true });
    }
  },

  // What the page says while the console does not answer; it is asked again by itself.
  sayLost(text) {
    const box = document.getElementById("popup");
    if (box) box.textContent = text;
  },

  // Send the chosen file as it is; `done` gets the id under which the console holds it.
  upload(field, bar, done) {
    const file = field.files[0];
    if (!file) return;
    const cookie = document.cookie.split("; ").find((each) => each.startsWith("yidao_csrf="));
    const request = new XMLHttpRequest();
    request.open("POST", "/files/upload?name=" + encodeURIComponent(file.name));
    request.setRequestHeader("X-CSRF-Token", cookie ? cookie.slice("yidao_csrf=".length) : "");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => {
      const shown = document.getElementById(bar);
      if (shown && event.lengthComputable) {
        shown.classList.remove("idle");
        shown.max = event.total;
        shown.value = event.loaded;
      }
    };
    request.onload = () => done({ status: request.status, body: request.responseText });
    request.onerror = () => done({ status: 0, body: "" });
    request.send(file);
  },
};

// Seconds to go, counted down between two refreshes of a page.
setInterval(() => {
  document.querySelectorAll("[data-seconds]").forEach((each) => {
    const left = Math.max(0, Number(each.dataset.seconds) - 1);
    each.dataset.seconds = left;
    each.textContent = each.dataset.text.replace("{seconds}", left);
  });
}, 1000);

// Links inside a page move the keyboard's place too, not only the view.
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href^="#"]');
  if (!link) return;
  const target = document.getElementById(decodeURIComponent(link.getAttribute("href").slice(1)));
  if (!target) return;
  event.preventDefault();
  target.scrollIntoView({ block: "center" });
  target.focus({ preventScroll: true });
});
