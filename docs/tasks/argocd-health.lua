-- The health of a RoseyBot for Argo CD, from the same conditions that kstatus reads.
local health = {status = "Progressing", message = "the operator has not seen this generation yet"}
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return health
end
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    if condition.status == "True" then
      health.status = "Healthy"
    end
    health.message = condition.reason .. ": " .. condition.message
  end
end
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    health.status = "Degraded"
  end
end
return health
