"""The report's style sheet: light and dark on screens, A4 on paper."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1d2733; --muted: #556171; --line: #d9dee5; --page: #ffffff;
  --panel: #f4f6f9; --accent: #0b5cad; --warn: #7a4b00; --warn-page: #fff4dc; --warn-line: #e0a100;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --muted: #a3aebd; --line: #39424e; --page: #14181d; --panel: #1d232b; --accent: #7db7f5;
    --warn: #ffd98a; --warn-page: #33290f; --warn-line: #b98a12; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 28px 32px 48px; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header { border-bottom: 3px solid var(--accent); padding-bottom: 14px; margin-bottom: 20px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 1.25rem; margin: 34px 0 10px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 20px 0 8px; }
abbr { text-decoration: none; }
p { margin: 6px 0; }
.muted, figcaption { color: var(--muted); font-size: 0.92rem; }
.meta { display: flex; flex-wrap: wrap; gap: 2px 28px; margin: 0; }
.meta div { display: flex; gap: 7px; }
.meta dt { color: var(--muted); }
.meta dd { margin: 0; font-weight: 600; }
.notice { border: 1px solid var(--line); background: var(--panel); border-radius: 6px; padding: 8px 14px;
  margin: 0 0 14px; }
.warnings { border: 1px solid var(--warn-line); border-left-width: 6px; background: var(--warn-page);
  color: var(--warn); border-radius: 6px; padding: 10px 16px; margin: 0 0 16px; }
.warnings h2 { border: 0; margin: 0 0 4px; padding: 0; font-size: 1.05rem; }
.warnings ul { margin: 0; padding-left: 20px; }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 0; }
.headline div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.headline dt { color: var(--muted); font-size: 0.88rem; }
.headline dd { margin: 0; font-size: 1.6rem; font-weight: 650; }
.headline .unit { font-size: 0.95rem; font-weight: 400; color: var(--muted); margin-left: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.94rem; margin: 4px 0 8px; }
caption { text-align: left; color: var(--muted); font-size: 0.92rem; padding: 2px 0 6px; }
th, td { padding: 5px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.range { white-space: nowrap; }
tr.first > * { border-top: 2px solid var(--line); }
tr.whole { background: var(--panel); }
.flag { color: var(--bad); font-weight: 600; white-space: nowrap; }
code { font: 0.88em/1.45 ui-monospace, Consolas, monospace; overflow-wrap: anywhere; }
dl.lines { display: grid; grid-template-columns: minmax(120px, 230px) 1fr; gap: 3px 16px; margin: 6px 0;
  font-size: 0.94rem; }
dl.lines dt { color: var(--muted); }
dl.lines dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 14px 0 24px; }
figure h3 { margin-top: 0; }
img, video { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px;
  background: #ffffff; }
figcaption { margin-top: 6px; }
footer { margin-top: 36px; border-top: 1px solid var(--line); padding-top: 10px; color: var(--muted);
  font-size: 0.88rem; }
@media print {
  @page { size: A4; margin: 14mm 13mm; }
  :root { color-scheme: light; --ink: #000000; --muted: #444444; --line: #bbbbbb; --page: #ffffff;
    --panel: #f3f3f3; --accent: #0b5cad; --warn: #5c3900; --warn-page: #ffffff; --bad: #a01010; }
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  h2 { margin-top: 18px; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .warnings, .headline { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8.6pt; }
  th, td { padding: 3px 6px; }
  .headline { grid-template-columns: repeat(4, 1fr); gap: 6px; }
  .headline dd { font-size: 14pt; }
  .headline, .warnings, thead, tr.whole { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
