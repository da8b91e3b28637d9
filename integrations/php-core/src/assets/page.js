/*
 * Says at once whether a connection key (DSN) that somebody pastes can be one. It stays in the page: nothing is sent before the form is.
 * Without this script the same is said after saving. The rules and their order are those of Dsn.php; a test compares them.
 */
(function () {
  'use strict';

  var SHAPE = /^\s*([a-z][a-z0-9+.-]*):\/\/([^:@\/?#]+):([^:@\/?#]+)@(\[[^\]]*\]|[^:@\/?#]+)(?::\d+)?(\/[^?#]*)?(?:\?([^#]*))?(#.*)?\s*$/i;
  var LOOPBACK = ['127.0.0.1', '[::1]', 'localhost'];

  /** The host of a DSN, for people; empty where it is none. */
  function dsnHost(text) {
    var parts = SHAPE.exec(text);
    return parts ? parts[4].toLowerCase() : '';
  }

  /** The same with its port, as it is named elsewhere. */
  function dsnAddress(text) {
    return dsnHost(text) && /@([^\/?#\s]*)/.exec(text)[1].toLowerCase();
  }

  /** What is wrong with a DSN: a constant of DsnError, or nothing. */
  function dsnFault(text) {
    var parts = SHAPE.exec(text);
    if (!parts) {
      return 'shape';
    }
    if (!/^[a-z0-9_-]{1,64}\.[a-z0-9_-]{1,64}$/.test(parts[2])) {
      return 'ids';
    }
    if (!/^[0-9a-f]{64}$/.test(parts[3])) {
      return 'secret';
    }
    if (!/(^|&)audience=[^&\s]{1,128}(&|\s*$)/.test(parts[6] || '')) {
      return 'audience';
    }
    if (parts[5] !== '/v1/batches' || parts[7] !== undefined) {
      return 'path';
    }
    var scheme = parts[1].toLowerCase();
    return scheme === 'https' || (scheme === 'http' && LOOPBACK.indexOf(dsnHost(text)) >= 0) ? '' : 'plain';
  }

  /** Says beside the field what is to be said of what stands in it. */
  function watch(field) {
    var place = document.getElementById(field.getAttribute('data-logystera-says'));
    var texts = JSON.parse(field.getAttribute('data-logystera-texts'));
    if (!place) {
      return;
    }
    function say() {
      var isEmpty = field.value.trim() === '';
      var fault = isEmpty ? '' : dsnFault(field.value);
      // Written as text: what was pasted is nobody's markup.
      place.textContent = isEmpty ? '' : texts[fault || 'good'].replace('%s', dsnAddress(field.value));
      place.className = 'logystera-says' + (isEmpty ? '' : fault ? ' logystera-bad' : ' logystera-good');
      if (fault) {
        field.setAttribute('aria-invalid', 'true');
      } else {
        field.removeAttribute('aria-invalid');
      }
    }
    field.addEventListener('input', say);
    field.addEventListener('change', say);
  }

  function start() {
    Array.prototype.forEach.call(document.querySelectorAll('[data-logystera-texts]'), watch);
  }

  if (typeof module === 'object' && module.exports) {
    module.exports = { dsnFault: dsnFault, dsnAddress: dsnAddress };
  } else if (document.readyState === 'loading') {
    document.addEventListener('DOMContentLoaded', start);
  } else {
    start();
  }
}());
