urlpatterns = []
app_name = "conversations"
