// Gives every step that has a command a button that copies the command, without the prompt; and makes
// what can be scrolled in this window a stop of the keyboard, in browsers that do not do so themselves.
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
})();
