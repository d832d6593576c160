"use strict";
// Shows the service's own OpenAPI document with Swagger UI, which asks nobody else for anything.
SwaggerUIBundle({
  url: document.documentElement.dataset.url,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
