"use strict";

// The descriptions are served by the same server, below the same prefix: docs/api/ is two folders down.
const which = document.getElementById("which");

function show() {
  const url = new URL(`../../openapi/${which.value}.json`, window.location.href).href;
  document.getElementById("raw").href = url;
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark-mode", dark);
  SwaggerUIBundle({
    url,
    dom_id: "#viewer",
    deepLinking: false,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    validatorUrl: null,
    persistAuthorization: false,
  });
}

const named = window.location.hash.slice(1);
if ([...which.options].some((option) => option.value === named)) {
  which.value = named;
}
which.addEventListener("change", () => {
  window.location.hash = which.value;
  show();
});
show();
