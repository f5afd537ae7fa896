"""The page's one style sheet: light, printable, readable on a phone."""

STYLE = """
:root{color-scheme:light;--paper:#fcfbf7;--card:#ffffff;--ink:#1d2620;--faint:#5b665f;--rule:#dedcd2;--soft:#f1efe7;
--green:#2c6e4f;--pale:#a9cdb9;--mist:#e3efe7;--rust:#b5481f;--sand:#e8d5b0;--slate:#8aa0b4}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:76rem;padding:2rem 1.5rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:2rem;line-height:1.15;margin:0 0 .35rem;letter-spacing:-.01em}
h2{font-size:1.3rem;line-height:1.25;margin:0 0 .4rem;padding-top:.2rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{margin:.4rem 0 .8rem;max-width:46rem}
a{color:var(--green)}
header p.lead{font-size:1.08rem}
.faint,.note,figcaption{color:var(--faint)}
.note{font-size:.86rem}
section{margin:2.6rem 0 0;padding-top:1.3rem;border-top:1px solid var(--rule)}
nav ul{list-style:none;margin:1.2rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;font-size:.92rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.4rem,1fr));gap:.7rem;margin:1.4rem 0 0;padding:0}
.tiles div{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.7rem .85rem .6rem}
.tiles dt{color:var(--faint);font-size:.82rem;line-height:1.3;margin-top:.1rem}
.tiles dd{margin:0;font-size:1.55rem;line-height:1.2;font-weight:600;font-variant-numeric:tabular-nums;
white-space:nowrap}
.tiles div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
.tiles .warn dd{color:var(--rust)}
.beside{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:1.6rem;align-items:start}
.scroll{overflow-x:auto;max-width:100%}
.tall .scroll{max-height:33rem;overflow:auto;border-bottom:1px solid var(--rule)}
.tall thead th{position:sticky;top:0;z-index:1}
table{border-collapse:collapse;font-size:.88rem;line-height:1.35;width:100%;overflow-wrap:normal}
th,td{padding:.3rem .55rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:baseline}
thead th{color:var(--faint);font-weight:600;font-size:.8rem;vertical-align:bottom;border-bottom:1.5px solid #b9b6a8;
background:var(--paper)}
tbody th{font-weight:500;position:sticky;left:0;background:var(--paper);min-width:7rem;overflow-wrap:anywhere}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead .number{white-space:normal}
i.name{font-style:italic}
.also{color:var(--faint);font-size:.92em;display:block}
svg text{font-family:inherit;fill:var(--ink)}
svg.bar{display:inline-block;width:4.6rem;height:.55rem;margin-left:.5rem;vertical-align:baseline;fill:var(--green)}
svg.bar .rest{fill:var(--soft)}
svg.interval{display:inline-block;width:6rem;height:.8rem;margin-left:.5rem;vertical-align:-.08rem;overflow:visible}
svg.interval .rest{fill:var(--soft)}svg.interval .between{fill:var(--pale)}svg.interval circle{fill:var(--green)}
figure{margin:0}
.map{display:block;width:100%;height:auto;max-width:44rem}
.map .frame{fill:var(--soft);stroke:var(--rule)}
.map path.degree{stroke:#dcd9cc;stroke-width:1;fill:none}
.map text.degree{font-size:10px;fill:#5f6862}
.map .place{fill:var(--green);fill-opacity:.72;stroke:#fff;stroke-width:1.2}
.map .unsurveyed{fill:#fff;fill-opacity:1;stroke:var(--rust);stroke-width:1.6}
.map text.label{font-size:12px;paint-order:stroke;stroke:var(--soft);stroke-width:3px;stroke-linejoin:round}
.map .under{fill:var(--soft);fill-opacity:.85}
.map path.scale{fill:none;stroke:var(--ink);stroke-width:1.4}
.map text.scale{font-size:11px;text-anchor:middle}
.map text.north{font-size:12px;text-anchor:end;fill:var(--faint)}
.calendar{display:flex;align-items:flex-start}
.calendar .names{flex:none}
.calendar .names .label{text-anchor:end}
.calendar .scroll{flex:1 1 auto;min-width:0}
.days{display:block}
.days.narrow{min-width:15rem}.days.medium{min-width:24rem}.days.wide{min-width:36rem}.days.wider{min-width:56rem}
.days.widest{min-width:80rem}
.none{fill:var(--soft)}.working{fill:var(--green)}.partial{fill:#6ba486}.outage{fill:var(--rust)}
.assumed{fill:var(--slate)}
.days rect{shape-rendering:crispEdges}
.days line.month{stroke:#c9c6b8;stroke-width:1}
.days text.month{font-size:10.5px;fill:var(--faint)}.days text.year{font-size:10.5px;font-weight:600}
.legend{list-style:none;padding:0;margin:.2rem 0 .8rem;display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;font-size:.86rem;
color:var(--faint)}
.key{width:22px;height:12px;margin-right:.45rem;vertical-align:-1px}
.matrix{width:auto;font-size:.78rem;border-collapse:separate;border-spacing:1px}
.matrix td{text-align:center;padding:.12rem .1rem;min-width:1.95rem;border:0;font-variant-numeric:tabular-nums}
.matrix tbody th{padding:.12rem .6rem .12rem 0;border:0;text-align:right;white-space:nowrap;position:sticky;left:0;
background:var(--paper)}
.matrix tbody th{min-width:0}
.matrix thead td{border:0}
.when{white-space:nowrap}
.matrix thead th{border:0;padding:.2rem 0;height:1px;font-weight:500;color:var(--ink);text-align:center}
.matrix thead th span{display:inline-block;writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;
white-space:nowrap;max-height:13rem;overflow:hidden;line-height:1.2}
.h0{color:#858b80}.h1{background:#edf4ef}.h2{background:#d6e7dc}.h3{background:#b4d3c1}.h4{background:#86b69b}
.h5{background:#4f8d6f;color:#fff}.h6{background:#24593f;color:#fff}
.clocks{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.6rem,1fr));gap:1rem .8rem;margin-top:.8rem}
.clocks figcaption{text-align:center;font-size:.88rem;line-height:1.3;color:var(--ink)}
.clock{display:block;width:100%;height:auto;max-width:14rem;margin:0 auto}
.clock .guide{fill:none;stroke:var(--rule)}
.clock path.hour{stroke:var(--rule);fill:none}
.clock text{text-anchor:middle}
.clock text.hour{font-size:11.5px;fill:var(--faint)}.clocks .n{color:var(--faint);font-size:.92em;display:block}
.clocks .few{color:var(--rust)}
.clock .density{fill:var(--green);fill-opacity:.3;stroke:var(--green);stroke-width:1.6;stroke-linejoin:round}
.clock .seen{stroke:var(--ink);stroke-opacity:.42;stroke-width:1.1;fill:none}.clock .rare{stroke-opacity:.85;
stroke-width:2.2}
.curve{display:block;width:100%;height:auto;max-width:40rem}
.curve .guide{stroke:var(--rule);fill:none}.curve text{font-size:12px;fill:var(--faint)}
.curve .level{text-anchor:end}.curve .units,.curve .axis{text-anchor:middle}
.curve .band{fill:var(--pale);fill-opacity:.55}.curve .mean{fill:none;stroke:var(--green);stroke-width:2.2;
stroke-linejoin:round}
.curve .chao{stroke:var(--rust);stroke-width:1.4;stroke-dasharray:5 4;fill:none}
.frames{display:grid;grid-template-columns:repeat(auto-fill,minmax(13.5rem,1fr));gap:1.2rem 1rem;margin-top:.8rem}
.frames .picture{background:var(--soft);border-radius:.35rem;overflow:hidden;aspect-ratio:4/3;display:flex;
align-items:center;justify-content:center}
.frames img{width:100%;height:100%;object-fit:contain;display:block}
.frames .picture p{margin:0;padding:1rem;text-align:center;font-size:.84rem;color:var(--faint)}
.frames figcaption{font-size:.86rem;line-height:1.4;margin-top:.4rem}
.frames figcaption b{color:var(--ink);font-weight:600;display:block}.frames figcaption b .also{font-weight:400}
.said{color:var(--green)}.doubt{color:var(--rust)}
.checks{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1.6fr);gap:1.8rem;align-items:start}
footer{margin-top:2.6rem;padding-top:1.1rem;border-top:1px solid var(--rule);font-size:.86rem;color:var(--faint)}
footer p,footer dd{max-width:52rem}
footer dt{font-weight:600;color:var(--ink);margin-top:.5rem}footer dd{margin:0}
@media(max-width:60rem){.beside,.checks{grid-template-columns:minmax(0,1fr)}}
@media(max-width:34rem){body{padding:1.1rem .9rem 3rem;font-size:15.5px}h1{font-size:1.55rem}section{margin-top:2rem}
.tiles{grid-template-columns:repeat(2,1fr)}.clocks{grid-template-columns:repeat(2,1fr)}
.frames{grid-template-columns:1fr 1fr}.tiles dd{font-size:1.3rem}}
@media print{@page{size:A4;margin:13mm 12mm}
:root{--paper:#fff;--card:#fff}
body{max-width:none;padding:0;font-size:9.6pt}h1{font-size:18pt}h2{font-size:13pt;break-after:avoid}
h3,.note,footer dt{break-after:avoid}.curve{max-width:62%}
nav{display:none}section{margin-top:1.1rem;padding-top:.8rem}
figure,.map,.curve,.clock,.tiles div,tr,.legend{break-inside:avoid}
.scroll,.tall .scroll{overflow:visible;max-height:none}thead{display:table-header-group}
.days.narrow,.days.medium,.days.wide,.days.wider,.days.widest{min-width:0}
.matrix{font-size:6.6pt;width:auto}.matrix td{min-width:0;padding:.08rem .16rem}
table{font-size:8pt}th,td{padding:.18rem .35rem}.tiles{grid-template-columns:repeat(4,1fr);gap:.4rem}
.tiles dd{font-size:15pt}
.clocks{grid-template-columns:repeat(5,1fr)}.frames{grid-template-columns:repeat(5,1fr);gap:.6rem}
.beside{grid-template-columns:1fr}.checks{grid-template-columns:1fr}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
