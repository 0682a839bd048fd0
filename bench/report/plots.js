/** One page of plots, as SVG. */
import { MAP_LOOKUP, OURS } from '../contenders/index.js';
import { brief, isOurs, isYardstick, labelOf } from './labels.js';

const WIDTH = 960;
const MARGIN = 20;
const PANEL = { width: (WIDTH - 3 * MARGIN) / 2, gap: 24, title: 40, axis: 44 };
const BAR = { height: 13, step: 19, labels: 190, values: 46 };
const LINES = { height: 170, left: 52, right: 16 };
const COLORS = { ours: '#0b62c4', new: '#c4570b', yardstick: '#57606a', peer: '#b6c2cf' };
const STYLE = [
  'text{fill:#1f2328}.e{text-anchor:end}.m{text-anchor:middle}.b{font-weight:bold}.h{font:bold 13px sans-serif}',
  '.g{stroke:#e4e8ec}.w{stroke:#1f2328;stroke-width:.7}',
  ...Object.entries(COLORS).map(([name, color]) => `.${name}{fill:${color}}.l${name}{fill:none;stroke:${color}}`),
].join('');

/**
 * @param {object} main  What `npm run bench -- --json` writes.
 * @param {object} growth  The same with `--growth`.
 */
export function plotsOf(main, growth) {
  const rows = pairs([...mainPanels(main.results), ...growthPanels(growth.results)]);
  let top = 76;
  const parts = [];
  for (const row of rows) {
    row.forEach(({ draw }, column) => {
      const x = MARGIN + column * (PANEL.width + MARGIN);
      parts.push(`<g transform="translate(${x},${top})">${draw()}</g>`);
    });
    top += Math.max(...row.map(({ height }) => height)) + PANEL.gap;
  }
  const { machine, versions, isQuick } = main;
  const where = `${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node.slice(1)}, Express ${versions.express}`;
  const head = [
    text(MARGIN, 30, 'express-resource-server: CPU time added to bare Express', 'h'),
    text(
      MARGIN,
      52,
      `${where}${isQuick || machine.isBusy ? ' (not exact)' : ''}. Thin lines: the lowest and the highest round.`,
    ),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="11">`,
    `<title>express-resource-server: benchmarks</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="${WIDTH}" height="${top}" fill="#fff"/>`,
    ...head,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function mainPanels(results) {
  const added = (scenario, title, figures = results[scenario].figures) =>
    bars(
      title,
      'µs of CPU per request',
      barsOf(figures, ({ addedCpu }) => addedCpu),
    );
  return [
    added('seen', 'Cached token'),
    added('new', 'New token, RS256', results.new.figures.RS256),
    added('new', 'New token, ES256', results.new.figures.ES256),
    added('new', 'New token, EdDSA', results.new.figures.EdDSA),
    added('invalid-signatures', 'Flood: 95 % wrong signatures'),
    added('unknown-kids', 'Flood: 95 % unknown key ids'),
    added('opaque', 'Cached opaque token'),
    bars(
      'First verified response of a new process',
      'ms beyond a process with bare Express',
      barsOf(results.start.figures, (figures) => figures.added),
    ),
  ];
}

function barsOf(figures, read) {
  return Object.entries(figures)
    .filter(([name]) => name !== 'bare')
    .map(([name, each]) => ({ label: labelOf(name), color: colorOf(name), ...read(each) }));
}

function colorOf(name) {
  if (isOurs(name)) return 'ours';
  return isYardstick(name) ? 'yardstick' : 'peer';
}

function growthPanels(results) {
  return Object.values(results).map(({ title, figures }) => {
    if (figures.some(({ x }) => x === undefined)) {
      const items = figures.map(({ label, kind, ours }) => ({
        label: `${title} ${label}, ${kind} token`,
        color: kind === 'new' ? 'new' : 'ours',
        ...ours.addedCpu,
      }));
      return bars(`${title} versions`, 'µs of CPU per request', items);
    }
    const series = ['cached', 'new'].flatMap((kind) => {
      const points = figures.filter((point) => point.kind === kind);
      const of = (read, name, color) => ({
        name,
        color,
        points: points.map((point) => ({ ...point, ...read(point).addedCpu })),
      });
      const yardstick = kind === 'cached' ? labelOf(MAP_LOOKUP.name) : labelOf('crypto-verify');
      return points.length === 0
        ? []
        : [
            of(({ ours }) => ours, `${labelOf(OURS.name)}, ${kind} tokens`, kind === 'new' ? 'new' : 'ours'),
            of((point) => point.yardstick, yardstick, kind === 'new' ? 'peer' : 'yardstick'),
          ];
    });
    return lines(title, 'µs of CPU per request', series);
  });
}

/** Horizontal bars, one per contender. */
function bars(title, unit, items) {
  const bottom = PANEL.title + items.length * BAR.step;
  const range = { from: BAR.labels, to: PANEL.width - BAR.values };
  // Labels of peers whose rounds vary much do not hide the others: the axis ends at the largest median.
  const axis = axisOf(items.map(({ median }) => median));
  const at = scale(axis, range);
  const draw = () => [
    heading(title),
    grid(axis.ticks.map((tick) => `M${at(tick)} ${PANEL.title - 6}V${bottom}`)),
    ...axis.ticks.map((tick) => text(at(tick), bottom + 14, brief(tick), 'm')),
    ...items.map((item, i) => bar(item, PANEL.title + i * BAR.step, at, range)),
    text((range.from + range.to) / 2, bottom + 30, unit, 'm'),
  ];
  return { height: bottom + PANEL.axis, draw: () => draw().flat().join('\n') };
}

function bar({ label, color, median, min, max }, y, at, { from, to }) {
  const inside = (value) => Math.min(to, Math.max(from, at(value)));
  const [zero, end] = [at(0), at(median)];
  const middle = y + BAR.height / 2;
  return [
    text(from - 6, y + 10, label, color === 'ours' ? 'e b' : 'e'),
    `<rect x="${Math.min(zero, end)}" y="${y}" width="${round(Math.abs(end - zero))}" height="${BAR.height}" class="${color}"/>`,
    `<path class="w" d="M${inside(min)} ${middle}H${inside(max)}"/>`,
    text(to + 6, y + 10, brief(median)),
  ].join('');
}

/** Lines over a logarithmic axis. */
function lines(title, unit, series) {
  const top = PANEL.title + 14 * Math.ceil(series.length / 2);
  const bottom = top + LINES.height;
  const range = { from: LINES.left, to: PANEL.width - LINES.right };
  const { points } = series[0];
  const axis = axisOf(series.flatMap((each) => each.points.flatMap(({ median, min, max }) => [median, min, max])));
  const atY = scale(axis, { from: bottom, to: top });
  const [first, last] = [points[0].x, points.at(-1).x].map(Math.log);
  const atX = (x) => round(range.from + 12 + ((Math.log(x) - first) / (last - first)) * (range.to - range.from - 36));
  const draw = () => [
    heading(title),
    ...series.map(({ name, color }, i) =>
      legend(name, color, (i % 2) * (PANEL.width / 2), PANEL.title + 14 * Math.floor(i / 2) - 8),
    ),
    grid(axis.ticks.map((tick) => `M${range.from} ${atY(tick)}H${range.to}`)),
    ...axis.ticks.map((tick) => text(range.from - 6, atY(tick) + 4, brief(tick), 'e')),
    ...points.map(({ x, label }) => text(atX(x), bottom + 14, label, 'm')),
    ...series.map(({ color, points: each }) => line(each, color, atX, atY)),
    text((range.from + range.to) / 2, bottom + 30, `${title} (logarithmic)`, 'm'),
    `<text transform="translate(12,${(top + bottom) / 2}) rotate(-90)" class="m">${escape(unit)}</text>`,
  ];
  return { height: bottom + PANEL.axis, draw: () => draw().flat().join('\n') };
}

function line(points, color, atX, atY) {
  const path = points.map(({ x, median }, i) => `${i === 0 ? 'M' : 'L'}${atX(x)} ${atY(median)}`).join('');
  const marks = points.map(({ x, median, min, max }) => [
    `<circle cx="${atX(x)}" cy="${atY(median)}" r="3" class="${color}"/>`,
    `<path class="l${color}" d="M${atX(x)} ${atY(min)}V${atY(max)}"/>`,
  ]);
  return [`<path class="l${color}" d="${path}"/>`, ...marks.flat()].join('');
}

const legend = (name, color, x, y) =>
  `<rect x="${x}" y="${y - 8}" width="10" height="10" class="${color}"/>${text(x + 14, y + 1, name)}`;

const heading = (title) => text(0, 16, title, 'h');

const grid = (paths) => `<path class="g" d="${paths.join('')}"/>`;

function text(x, y, content, className) {
  const attribute = className === undefined ? '' : ` class="${className}"`;
  return `<text x="${round(x)}" y="${round(y)}"${attribute}>${escape(content)}</text>`;
}

const escape = (content) => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

const round = (value) => Math.round(value * 10) / 10;

/** An axis that contains 0 and all values, with about five ticks at round numbers. */
export function axisOf(values) {
  const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
  const power = 10 ** Math.floor(Math.log10((high - low) / 5));
  const step = power * [1, 2, 5, 10].find((factor) => (high - low) / (power * factor) <= 5);
  const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { ticks, from: ticks[0], to: ticks.at(-1) };
}

const scale = (axis, range) => (value) =>
  round(range.from + ((value - axis.from) / (axis.to - axis.from)) * (range.to - range.from));

const pairs = (list) => list.flatMap((each, i) => (i % 2 === 0 ? [list.slice(i, i + 2)] : []));
