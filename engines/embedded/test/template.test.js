import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatTemplate } from '../lib/template.js';

const names = { bosString: '<s>', eosString: '</s>' };
const plain = '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}';
const messages = [
  { role: 'system', content: 'be kind' },
  { role: 'user', content: 'hello' },
];

test('a template renders the messages and asks for an answer', () => {
  assert.equal(new ChatTemplate(`{{ bos_token }}${plain}`, names).render(messages), '<s>[system]be kind[user]hello[assistant]');
});

test('a template that refuses system messages gets them inside the user message', () => {
  const refusing = `{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}${plain}`;
  assert.equal(new ChatTemplate(refusing, names).render(messages), '[user]be kind\n\nhello[assistant]');
});

test('a template that leaves system messages out gets them inside the user message', () => {
  const forgetful = "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}";
  assert.equal(new ChatTemplate(forgetful, names).render(messages), '[user]be kind\n\nhello');
});

test('what the template refuses is a problem of the messages', () => {
  const strict = "{{ raise_exception('roles must alternate') }}";
  assert.throws(() => new ChatTemplate(strict, names).render(messages), { status: 400, param: 'messages', message: /roles must alternate/ });
});

test('a model without a template takes no chat', () => {
  assert.throws(() => new ChatTemplate(undefined, names).render(messages), { status: 400, code: 'unsupported_parameter' });
});
