// Keeps the page's key where only this host and port can read it, and leaves the token's address.
(() => {
  "use strict";
  const { key, target } = document.body.dataset;
  localStorage.setItem("page-key", key);
  location.replace(target);
})();
