// What can be wrong with a page, as its reader would find it: each function returns a list of faults, which is
// empty on a good page. They run in the page, in the window and the theme that it has.
'use strict';

window.faults = (() => {
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const name = element => `${element.localName} "${element.textContent.trim().slice(0, 40)}"`;
    const isShown = element => element.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true });
    const settled = () => new Promise(requestAnimationFrame);

    // What is around the text, and is wider than it shows: it would be scrolled with all of the text.
    function sideways(box = document.querySelector('main')) {
        const rest = box.parentElement ? sideways(box.parentElement) : [];
        return box.scrollWidth > box.clientWidth ? [box, ...rest] : rest;
    }

    // Prose fits into its column, and the page into the window. Outputs, code and drawings may be scrolled.
    function layout() {
        const found = sideways().map(box => `${box.localName} is ${box.scrollWidth} wide and shows ${box.clientWidth}`);
        const column = document.querySelector('main').getBoundingClientRect();
        const prose = 'p, li, td, th, dt, dd, h1, h2, h3, h4, summary, figcaption, code, .step-command';
        for (const element of all(`main :is(${prose})`)) {
            if (!element.closest('pre:not(:has(.step-command))') || element.matches('.step-command')) {
                const { left, right } = element.getBoundingClientRect();
                if (right > column.right + 1 || left < column.left - 1) {
                    found.push(`${name(element)} reaches from ${left} to ${right}, out of the column`);
                }
            }
        }
        return found;
    }

    // Each step is found by its anchor, below the bar at the top.
    async function anchors() {
        const ids = all('[id]').map(element => element.id);
        const found = ids.filter((id, at) => ids.indexOf(id) < at).map(id => `#${id} is there twice`);
        for (const step of all('.step')) {
            if (!/^step-\d+\.\d+$/.test(step.id)) {
                found.push(`"${step.id}" is no anchor of a step`);
            }
            const link = step.querySelector('.step-link');
            link.click();
            await settled();
            const { top } = step.getBoundingClientRect();
            const isEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
            if (location.hash !== `#${step.id}` || top < 0 || (top > 80 && !isEnd) || top > innerHeight) {
                found.push(`${step.id}: ${location.hash} is ${top} below the edge`);
            }
        }
        return found;
    }

    // Every copy button puts the recorded command on the clipboard, and nothing else.
    async function copies(commands) {
        const found = [];
        for (const [id, command] of Object.entries(commands)) {
            const button = document.getElementById(`step-${id}`)?.querySelector('.step-copy');
            if (!button) {
                found.push(`step ${id} has no button`);
                continue;
            }
            await navigator.clipboard.writeText('nothing');
            button.click();
            for (let wait = 0; wait < 100 && button.textContent === 'copy'; wait += 1) {
                await new Promise(done => setTimeout(done, 5));
            }
            const copied = await navigator.clipboard.readText();
            if (copied !== command) {
                found.push(`step ${id} copies ${JSON.stringify(copied)}`);
            }
        }
        const others = all('.step-copy').length - Object.keys(commands).length;
        return others ? [...found, `${others} buttons more than commands`] : found;
    }

    // What is selected from the first to the last letter of a step is copied whole, and without prompts.
    async function selections() {
        const found = [];
        for (const step of all('.step:has(.step-fold)')) {
            const outputs = all('.step-text:not(.step-drift > *)', step);
            const expected = outputs.map(text => text.textContent).join('')
                .slice(step.querySelector('.step-prompt')?.textContent.length ?? 0);
            await navigator.clipboard.writeText('nothing');
            getSelection().setBaseAndExtent(outputs[0], 0, outputs.at(-1), outputs.at(-1).childNodes.length);
            document.execCommand('copy');
            const copied = await navigator.clipboard.readText();
            const words = text => text.split(/\s+/).filter(Boolean).join(' ');
            if (words(copied) !== words(expected)) {
                found.push(`${step.id}: ${JSON.stringify(copied.slice(0, 200))} is copied`);
            }
        }
        return found;
    }

    // A drawing has its content in words, and its own words can be read on the page's ground.
    function drawings(ground = getComputedStyle(document.documentElement).backgroundColor) {
        const found = [];
        for (const svg of all('main svg')) {
            const label = svg.getAttribute('aria-label') ?? svg.querySelector('title')?.textContent;
            const content = svg.querySelector('desc')?.textContent;
            const role = svg.getAttribute('role');
            if (!label?.trim() || !content?.trim() || !['img', 'group', 'graphics-document'].includes(role)) {
                found.push('a drawing has no words');
            }
            for (const text of all('text:not(:empty)', svg)) {
                const size = text.getBoundingClientRect().height;
                if (size < 9) {
                    found.push(`${name(text)} is ${size} high`);
                }
            }
            found.push(...faint(all('text', svg), 'fill', 4.5, ground));
            found.push(...faint(all('line, .filled, circle', svg), 'stroke', 1.3, ground));
        }
        return found;
    }

    // On paper there is no navigation, nothing is folded or cut off, and ink is dark.
    function paper() {
        const found = [];
        for (const element of all('#mdbook-sidebar, #mdbook-menu-bar, .nav-chapters, .step-copy, .step-fold > summary')) {
            if (isShown(element)) {
                found.push(`${name(element)} is printed`);
            }
        }
        for (const element of all('.step-fold > pre, .verified dd, main > details > p')) {
            if (element.getBoundingClientRect().height === 0) {
                found.push(`${name(element)} is folded`);
            }
        }
        for (const element of all('main pre')) {
            if (element.scrollWidth > element.clientWidth + 1) {
                found.push(`${name(element)} is cut off`);
            }
        }
        const words = 'p, li, td, th, h1, h2, h3, dd, dt, code, pre, pre *, a, figcaption, summary';
        const inked = all(`main :is(${words})`).filter(isShown);
        return [...found, ...faint(inked, 'color', 4.5, 'rgb(255, 255, 255)'), ...drawings('rgb(255, 255, 255)')];
    }

    // Every word in sight can be told from its ground. (axe says so, too, and takes a hundred times as long.)
    function contrast() {
        const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const elements = new Set();
        while (words.nextNode()) {
            const element = words.currentNode.parentElement;
            if (words.currentNode.data.trim() && element.namespaceURI.endsWith('xhtml') && isShown(element)) {
                elements.add(element);
            }
        }
        return faint([...elements], 'color', 4.5);
    }

    const isClear = colour => /^rgba\(.*, 0\)$/.test(colour);
    function groundOf(element) {
        const colour = getComputedStyle(element).backgroundColor;
        return isClear(colour) && element.parentElement ? groundOf(element.parentElement) : colour;
    }

    // The elements whose colour is too near to the ground's, by WCAG's formula.
    function faint(elements, property, least, ground) {
        const luminance = colour => {
            const [r, g, b] = colour.match(/[\d.]+/g)
                .map(number => number / 255)
                .map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const found = new Set();
        for (const element of elements) {
            const colour = getComputedStyle(element)[property];
            const behind = ground ?? groundOf(element);
            if (colour !== 'none') {
                const [dark, bright] = [luminance(colour), luminance(behind)].sort((a, b) => a - b);
                if (bright / dark < least) {
                    const kind = `${element.localName}.${element.getAttribute('class')}`;
                    found.add(`${kind}: ${colour} on ${behind} has ${(bright / dark).toFixed(1)}`);
                }
            }
        }
        return [...found];
    }

    // The walk of the Tab key: what has to be on it, and what the one who walks sees.
    const visited = new Set();
    const seen = [];
    function visit({ target }) {
        if (visited.has(target)) {
            return;
        }
        visited.add(target);
        const style = getComputedStyle(target);
        const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
        if (!ring && style.boxShadow === 'none') {
            seen.push(`${name(target)} does not show that it has the focus`);
        }
        if (target.matches('.claim')) {
            const hint = getComputedStyle(target, '::after').content;
            if (!hint.includes(target.dataset.claim.slice(0, 10))) {
                seen.push(`${name(target)} does not show its hint`);
            }
        }
        if (sideways().length) {
            seen.push(`${name(target)} makes the page wider`);
        }
    }
    const stops = () => all('main :is(a[href], button, summary, pre, .claim)').filter(element => {
        const scrolls = element.localName !== 'pre' || element.scrollWidth > element.clientWidth;
        const isRepeated = element.matches('.claim[tabindex="-1"], span.claim:not([tabindex])');
        return scrolls && !isRepeated && isShown(element);
    });
    const walk = {
        begin() {
            document.addEventListener('focusin', visit);
            return stops().length;
        },
        rest: () => stops().filter(stop => !visited.has(stop)).length,
        end: () => [...seen, ...stops().filter(stop => !visited.has(stop)).map(stop => `Tab does not reach ${name(stop)}`)],
    };

    return { contrast, layout, anchors, copies, selections, drawings, paper, walk };
})();
