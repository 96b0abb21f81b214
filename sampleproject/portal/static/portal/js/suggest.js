/* Fills the search box's list with the titles that match what has been typed. Without it the search works as well. */
(function () {
  "use strict";

  var WAIT_MS = 150;
  var box = document.querySelector("[data-suggest]");
  if (!box) {
    return;
  }
  var list = document.getElementById(box.getAttribute("list"));
  var timer = 0;
  var latest = null;

  function show(titles) {
    list.replaceChildren.apply(
      list,
      titles.map(function (title) {
        var option = document.createElement("option");
        option.value = title;
        return option;
      })
    );
  }

  function ask() {
    if (latest) {
      latest.abort();
    }
    latest = new AbortController();
    fetch(box.dataset.suggest + "?q=" + encodeURIComponent(box.value), { signal: latest.signal })
      .then(function (response) {
        return response.ok ? response.json() : { titles: [] };
      })
      .then(function (answer) {
        show(answer.titles);
      })
      .catch(function () {
        /* Superseded by a newer question, or offline: the list stays as it is. */
      });
  }

  box.addEventListener("input", function () {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
})();
