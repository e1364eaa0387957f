// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/page.hpp"

namespace mgrn::experiments {

const char* const kPageStyle =
    R"(:root{color-scheme:light dark;--ink:#1b1f24;--soft:#4d5661;--rule:#d5dae0;--page:#fff;--band:#f5f7f9;
--link:#005fa3;--warn:#8a4b00;--warn-band:#fff6e5}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebef;--soft:#aab4bf;--rule:#30363d;--page:#15191e;--band:#1d232a;
--link:#6cb6f5;--warn:#f0bd6b;--warn-band:#2c2412}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
header,main,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.2rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:3rem 0 .6rem;padding-top:1.2rem;border-top:1px solid var(--rule)}
h3{font-size:1.05rem;margin:2rem 0 .2rem}h4{font-size:.95rem;margin:1.1rem 0 .3rem;color:var(--soft)}
p,li{max-width:46rem}p{margin:.4rem 0 .8rem}
.lead,.caption,footer{color:var(--soft)}.caption{font-size:.9rem}
a{color:var(--link)}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.9rem 0 0}
ul.plain{padding-left:1.1rem}ul.plain li{margin:.35rem 0}
aside{background:var(--warn-band);border-left:4px solid var(--warn);padding:.7rem 1rem;margin:1.4rem 0}
aside p{margin:.2rem 0}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:1rem 1.6rem;
align-items:start;margin:.6rem 0}
.panels .chart{width:100%;height:auto;display:block;max-width:27rem}
.scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:6px;margin:.6rem 0;max-height:40rem;overflow-y:auto}
.scroll:focus-visible,summary:focus-visible,th button:focus-visible,input:focus-visible,a:focus-visible{
outline:2px solid var(--link);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .7rem;text-align:left;white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:top}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
td.n,th.n{text-align:right}th.n button{text-align:right}td.w{white-space:normal;min-width:14rem}
thead th{position:sticky;top:0;background:var(--band);font-weight:600;z-index:1}
tbody tr:hover{background:var(--band)}
th button{all:unset;cursor:pointer;width:100%;box-sizing:border-box}
th button::after{content:"";display:inline-block;width:1em;margin-left:.15em;color:var(--soft)}
th[aria-sort=ascending] button::after{content:"▲";font-size:.75em}
th[aria-sort=descending] button::after{content:"▼";font-size:.75em}
label.filter{display:inline-flex;gap:.5rem;align-items:center;font-size:.9rem;margin:.4rem 0;flex-wrap:wrap}
label.filter[hidden]{display:none}
input{font:inherit;color:inherit;background:var(--page);border:1px solid var(--soft);border-radius:6px;padding:.3rem .6rem;
max-width:100%}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:600;padding:.3rem 0}
footer{padding:2.5rem 1.25rem 3rem;font-size:.875rem}
@media (max-width:32rem){header,main,footer{padding-left:.9rem;padding-right:.9rem}h1{font-size:1.4rem}
table{font-size:.8rem}
th,td{padding:.35rem .45rem}td.w{min-width:9rem}}
@media print{.scroll{max-height:none;overflow:visible;border:0}nav,label.filter{display:none}
thead th{position:static}.panels .chart{break-inside:avoid}}
)";

const char* const kPageScript = R"('use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const value = (row, column) => {
    const cell = row.cells[column];
    return 'v' in cell.dataset ? cell.dataset.v : cell.textContent;
  };
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.textContent = '';
    head.append(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const numeric = head.classList.contains('n');
      const sorted = rows.map((row, index) => ({row, index, key: value(row, column)}));
      sorted.sort((a, b) => {
        // What is empty stays at the end, whichever way.
        if ((a.key === '') !== (b.key === '')) return a.key === '' ? 1 : -1;
        const order = numeric ? Number(a.key) - Number(b.key) : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
        return (down ? -order : order) || a.index - b.index;
      });
      body.append(...sorted.map(item => item.row));
    });
  });
  const filter = document.querySelector('input[data-table="' + table.id + '"]');
  if (filter) {
    const count = filter.parentElement.querySelector('output');
    filter.parentElement.hidden = false;
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const cells = Array.from(row.cells).map(cell => cell.textContent.toLowerCase());
        row.hidden = !words.every(word => cells.some(cell => cell.includes(word)));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = words.length ? shown + ' of ' + rows.length + ' rows' : '';
    };
    filter.addEventListener('input', apply);
    apply();
  }
}
)";

}  // namespace mgrn::experiments
