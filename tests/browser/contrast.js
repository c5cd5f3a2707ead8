// Every text in sight whose contrast with what it stands on is below WCAG's 4.5 (level AA).
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

const rgb = (color, under) => {
  for (const style of [under, color]) {
    canvas.fillStyle = style;
    canvas.fillRect(0, 0, 1, 1);
  }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};

const ground = (e) => {
  const under = e.parentElement ? ground(e.parentElement) : "white";
  return `rgb(${rgb(getComputedStyle(e).backgroundColor, under)})`;
};

const luminance = (parts) => {
  const [r, g, b] = parts
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const hasText = (e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());

return [...document.querySelectorAll("body *")].flatMap((e) => {
  if (!hasText(e) || !e.checkVisibility()) return [];
  if (e.closest(".dim, script, style") || e.matches(".length.inside")) return [];
  const under = ground(e);
  const text = luminance(rgb(getComputedStyle(e).color, under));
  const back = luminance(rgb(under, under));
  const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
  return ratio < 4.5 ? [`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent}`] : [];
});
