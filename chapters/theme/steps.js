// Gives every step that has a command a button that copies the command, without the prompt; opens folds that are
// copied or searched; makes what can be scrolled in this window a stop of the keyboard, in browsers that do not do
// so themselves; and teaches the lines and the search what the parts of a name are.
'use strict';

(function () {
    function copy(text) {
        if (navigator.clipboard && window.isSecureContext) {
            return navigator.clipboard.writeText(text);
        }
        const area = document.createElement('textarea');
        area.value = text;
        area.style.position = 'fixed';
        area.style.opacity = '0';
        document.body.append(area);
        area.select();
        const done = document.execCommand('copy');
        area.remove();
        return done ? Promise.resolve() : Promise.reject(new Error('the browser refused to copy'));
    }

    for (const step of document.querySelectorAll('.step')) {
        const command = step.querySelector('.step-command');
        if (!command) {
            continue;
        }
        const button = document.createElement('button');
        const name = step.id.replace('step-', '');
        button.type = 'button';
        button.className = 'step-copy';
        button.textContent = 'copy';
        button.setAttribute('aria-label', `Copy the command of step ${name}`);
        button.addEventListener('click', () => {
            const say = word => {
                button.textContent = word;
                setTimeout(() => { button.textContent = 'copy'; }, 1500);
            };
            copy(command.textContent).then(() => say('copied'), () => say('failed'));
        });
        step.querySelector('.step-head').append(button);
    }

    // What is selected across a closed fold is copied with it.
    document.addEventListener('copy', () => {
        const selection = getSelection();
        for (const fold of document.querySelectorAll('.step-fold')) {
            fold.open ||= selection.containsNode(fold, true);
        }
    });

    // What the search has marked is in sight.
    for (const fold of document.querySelectorAll('.step-fold:has(mark)')) {
        fold.open = true;
    }

    // An arrow stays whole. A long name breaks between its parts, if it must, and a short one does in a table.
    for (const code of document.querySelectorAll('main :not(pre) > code')) {
        if (!code.childElementCount) {
            const isLong = code.textContent.length > 24 || code.closest('td');
            const whole = code.innerHTML.replaceAll('-&gt;', '<span class="arrow">-&gt;</span>');
            code.innerHTML = isLong ? whole.replace(/(_+|\/|<\/span>)(?=\w)/g, '$1<wbr>') : whole;
        }
    }

    const watch = new ResizeObserver(entries => {
        for (const { target } of entries) {
            if (target.scrollWidth > target.clientWidth) {
                target.tabIndex = 0;
            } else {
                target.removeAttribute('tabindex');
            }
        }
    });
    for (const text of document.querySelectorAll('.step pre, main pre > code')) {
        watch.observe(text);
    }

    // mdbook's search knows whole words and their beginnings. A word of code has parts, and is found by each of
    // them: `sk->__sk_common.skc_state` by `skc_state`, too. The index has stems, and a word loses more of its end
    // to the stemmer if something is before it.
    const index = window.elasticlunr?.InvertedIndex.prototype;
    if (index) {
        const expand = index.expandToken;
        const parts = word => ` ${word.replace(/[^a-z0-9]/g, ' ')}`;
        index.expandToken = function (token, found, node) {
            if (found || !token) {
                return expand.call(this, token, found, node);
            }
            this.words ??= Object.keys(this.root)
                .filter(key => key !== 'docs' && key !== 'df')
                .flatMap(letter => expand.call(this, letter, [], this.root[letter]))
                .map(word => [word, parts(word)]);
            const begin = parts(token);
            const end = parts(elasticlunr.stemmer(`before.${token}`).slice('before.'.length));
            return this.words
                .filter(([, known]) => known.includes(begin) || known.endsWith(end))
                .map(([word]) => word);
        };
    }
})();
