// Keys of the review, and curves that follow a training. Everything works without: buttons, and loading the page again.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, select, textarea")) return;
  const button = document.querySelector(`#verdict button[data-key="${CSS.escape(event.key)}"]`);
  if (button) {
    event.preventDefault();
    button.click();
  }
});

const curves = document.getElementById("curves");
if (curves && curves.dataset.live) {
  setInterval(async () => {
    const answer = await fetch("/curves");
    if (answer.ok) curves.innerHTML = await answer.text();
  }, 5000);
}
if (document.getElementById("reading")) {
  const again = setTimeout(() => location.reload(), 1000);
  // A page that was asked for meanwhile waits until all is read: loading this one again would put an end to that.
  addEventListener("beforeunload", () => clearTimeout(again));
}
